//! The list that a layer is held to.

use std::fmt;

/// How a layer stands to the readiness of the service below it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// It forwards readiness, and the very instance that said it was ready
    /// is the one that it calls: a timeout, a breaker, a limit that rejects.
    /// When it would refuse a call anyway, it does not ask the inner service.
    Direct,
    /// It waits for something of its own, or calls more than once: a queue, a
    /// retry, a hedge. Its future readies the instance that it calls.
    Waiting,
    /// It turns a call away when the inner service is not ready, and then
    /// gives up the place in the inner service's queue.
    Shedding,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Class::Direct => "direct",
            Class::Waiting => "waiting",
            Class::Shedding => "shedding",
        })
    }
}

macro_rules! obligations {
    ($($(#[$doc:meta])* $name:ident: $text:literal,)*) => {
        /// One obligation of a layer. Each is judged apart, over a layer and
        /// an inner service that were made for it.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Obligation {
            $($(#[$doc])* $name,)*
        }

        impl Obligation {
            /// All of them, in the order in which they are judged.
            pub const ALL: &'static [Obligation] = &[$(Obligation::$name,)*];
        }

        impl fmt::Display for Obligation {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Obligation::$name => $text,)*
                })
            }
        }
    };
}

obligations! {
    /// Over a service that is ready and answers, a call is answered. A layer
    /// that does not do this cannot be judged on anything else.
    Serves: "serves",
    /// The instance that is called has itself said that it is ready, and has
    /// not been called since: also in the second call, in a repetition, and
    /// when a reason to refuse goes away between `poll_ready` and `call`. A
    /// direct layer is not ready while the inner service is not.
    ReadinessBeforeCall: "readiness before call",
    /// A clone of a service that is ready is not ready.
    ReadinessOfClones: "a clone is not readied",
    /// Asking twice whether the service is ready takes nothing twice, calls
    /// nothing, and takes no answer back.
    ReadinessAskedTwice: "readiness may be asked twice",
    /// An error of the inner service's `poll_ready` reaches the caller,
    /// unaltered and before a call is made.
    ReadinessError: "readiness errors are kept",
    /// An error of the inner service's `poll_ready` that comes after it has
    /// said that it is ready, as of a connection that is closed while it is
    /// idle, reaches whoever asks again.
    LaterReadinessError: "later readiness errors are kept",
    /// While nothing happens, nobody is woken.
    NoSelfWake: "no self-wake",
    /// Who waits is woken when there is something to do, exactly once.
    WokenOnce: "woken once",
    /// Of two wakers, the later is the one that is woken.
    LatestWaker: "the latest waker is woken",
    /// A future is not polled again once it is done.
    NotPolledWhenDone: "not polled when done",
    /// The request reaches the inner service and its response the caller,
    /// both unaltered.
    ResponseUnaltered: "responses are unaltered",
    /// The error of the inner service reaches the caller, unaltered.
    ErrorUnaltered: "errors are unaltered",
    /// A future dropped before its first poll gives everything back.
    DroppedUnpolled: "dropped before the first poll",
    /// A future or service dropped at any point where it waits gives
    /// everything back, its turn in a queue included.
    DroppedWaiting: "dropped while it waits",
    /// With the future of a layer, those of the inner calls are dropped, and
    /// not later.
    LoserCancelled: "cancelled at once",
    /// A panic of the inner service leaks nothing, and later calls work.
    Panic: "a panic leaks nothing",
    /// A readied service that is not called keeps nothing from others. This
    /// is stricter than tower, which lets `poll_ready` reserve what is
    /// shared; see the crate documentation for what that costs.
    IdleHoldsNothing: "idle services hold nothing",
    /// Clones of a service, and services made by one layer, share its state.
    SharedState: "state is shared",
    /// A refused call does not call the inner service.
    RefusalCallsNothing: "a refusal calls nothing",
    /// A refusal can be told from a failure.
    RefusalIsData: "a refusal is data",
    /// A refused call keeps the instance that was readied for it.
    RefusalKeepsReadied: "a refusal keeps what is readied",
    /// A layer that refuses does so at once, and leaves an inner service that
    /// is not ready alone.
    RefusalSkipsInner: "a refusal does not ask the inner service",
    /// No instance that was readied waits in a queue, where it would keep a
    /// place from those who could use it.
    NothingReadiedQueues: "nothing readied queues",
    /// After a call is turned away because the inner service is not ready,
    /// nobody is left in the inner service's queue.
    ShedLeavesQueue: "a shed call leaves the queue",
}

impl Obligation {
    /// The obligations without which this one cannot be judged: a layer that
    /// breaks one of them would seem to break this one too.
    pub(crate) fn rests_on(self) -> &'static [Obligation] {
        use Obligation as O;
        match self {
            O::Serves => &[],
            O::ReadinessOfClones => &[O::Serves, O::ReadinessBeforeCall],
            O::LaterReadinessError => &[O::Serves, O::ReadinessError],
            O::WokenOnce => &[O::Serves, O::NoSelfWake],
            O::LatestWaker => &[O::Serves, O::NoSelfWake, O::WokenOnce],
            O::IdleHoldsNothing => &[O::Serves, O::ReadinessAskedTwice],
            O::RefusalKeepsReadied => &[O::Serves, O::SharedState, O::RefusalCallsNothing],
            O::RefusalCallsNothing
            | O::RefusalIsData
            | O::RefusalSkipsInner
            | O::NothingReadiedQueues => &[O::Serves, O::SharedState],
            _ => &[O::Serves],
        }
    }
}
