/// The methods of [`Carrier`](crate::Carrier) for a binding around another,
/// inside of its `impl`: all of them, or one that is added later would be
/// lost. Not public API.
///
/// ```
/// use axiomatic_core::{Carrier, Context, Plain};
///
/// struct Around<B>(B);
///
/// impl<B: Carrier<R>, R> Carrier<R> for Around<B> {
///     axiomatic_core::carry_as!(R, |around| around.0);
/// }
/// assert_eq!(Around(Plain).context(&7), Context::default());
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! carry_as {
    ($request:ty, |$this:pat_param| $binding:expr) => {
        #[inline]
        fn context(&self, request: &$request) -> $crate::Context {
            let $this = self;
            $binding.context(request)
        }

        #[inline]
        fn deadline(&self, request: &$request) -> Option<$crate::context::Deadline> {
            let $this = self;
            $binding.deadline(request)
        }

        #[inline]
        fn set_context(&self, request: &mut $request, context: $crate::Context) {
            let $this = self;
            $binding.set_context(request, context);
        }

        #[inline]
        fn choice(&self, request: &$request) -> Option<$crate::context::Choice> {
            let $this = self;
            $binding.choice(request)
        }

        #[inline]
        fn set_choice(&self, request: &mut $request, choice: $crate::context::Choice) {
            let $this = self;
            $binding.set_choice(request, choice);
        }
    };
}
