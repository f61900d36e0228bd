use std::fmt;
use std::num::NonZeroU32;

/// What a layer asks about a request: its key, and what it costs. It is sealed.
pub trait Gate<Req>: Sealed {
    /// Borrowed from the request.
    #[doc(hidden)]
    fn key<'r>(&self, request: &'r Req) -> &'r str;

    /// One, unless it was said.
    #[doc(hidden)]
    fn cost(&self, request: &Req) -> NonZeroU32;

    /// Whether answers say what is left.
    #[doc(hidden)]
    fn is_announcing(&self) -> bool {
        false
    }
}

#[expect(unnameable_types, reason = "that nobody can name it is what seals")]
pub trait Sealed {}

/// How to tell the key of a request.
#[derive(Copy, Clone)]
pub struct ByKey<F>(F);

/// The same, and how to tell what it costs.
#[derive(Copy, Clone)]
pub struct ByCost<G, C> {
    gate: G,
    cost_of: C,
}

/// A gate whose answers say what is left to who asked.
#[derive(Copy, Clone, Debug)]
pub struct Announcing<G>(G);

impl<G> Announcing<G> {
    pub(super) fn new(gate: G) -> Self {
        Announcing(gate)
    }
}

impl<F> ByKey<F> {
    pub(super) fn new(key_of: F) -> Self {
        ByKey(key_of)
    }
}

impl<G, C> ByCost<G, C> {
    pub(super) fn new(gate: G, cost_of: C) -> Self {
        ByCost { gate, cost_of }
    }
}

impl<F> Sealed for ByKey<F> {}

impl<G, C> Sealed for ByCost<G, C> {}

impl<G> Sealed for Announcing<G> {}

impl<F, Req> Gate<Req> for ByKey<F>
where
    F: Fn(&Req) -> &str,
{
    fn key<'r>(&self, request: &'r Req) -> &'r str {
        (self.0)(request)
    }

    fn cost(&self, _: &Req) -> NonZeroU32 {
        NonZeroU32::MIN
    }
}

impl<G, C, Req> Gate<Req> for ByCost<G, C>
where
    G: Gate<Req>,
    C: Fn(&Req) -> NonZeroU32,
{
    fn key<'r>(&self, request: &'r Req) -> &'r str {
        self.gate.key(request)
    }

    fn cost(&self, request: &Req) -> NonZeroU32 {
        (self.cost_of)(request)
    }

    fn is_announcing(&self) -> bool {
        self.gate.is_announcing()
    }
}

impl<G: Gate<Req>, Req> Gate<Req> for Announcing<G> {
    fn key<'r>(&self, request: &'r Req) -> &'r str {
        self.0.key(request)
    }

    fn cost(&self, request: &Req) -> NonZeroU32 {
        self.0.cost(request)
    }

    fn is_announcing(&self) -> bool {
        true
    }
}

impl<F> fmt::Debug for ByKey<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByKey").finish_non_exhaustive()
    }
}

impl<G: fmt::Debug, C> fmt::Debug for ByCost<G, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByCost")
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}
