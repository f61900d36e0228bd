/// What the layers of all patterns have in common, for a struct that is
/// written out with its documentation. Not public API.
///
/// The struct has the parameters `E = BoxError` and `B = Plain`, then others
/// if the macro is told of them, and these fields: its mechanism, with what
/// else it is made of, `binding: B` and `error: PhantomData<fn() -> E>`. It gets `new`, `with_error` and
/// `with_binding`, and `Clone` and `Debug` that ask nothing of `E`. Its `Layer`
/// it writes itself, so that core needs no tower.
///
/// ```
/// use std::marker::PhantomData;
///
/// use axiomatic_core::{BoxError, Plain, Rejected};
///
/// pub struct GateLayer<E = BoxError, B = Plain, G = u32> {
///     gate: G,
///     binding: B,
///     error: PhantomData<fn() -> E>,
/// }
///
/// axiomatic_core::layer_parts!(GateLayer<G> { gate: G });
///
/// let layer: GateLayer<Rejected, &str> = GateLayer::new(7).with_error().with_binding("mine");
/// assert_eq!(format!("{:?}", layer.clone()), "GateLayer { gate: 7, binding: \"mine\" }");
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! layer_parts {
    ($layer:ident $(<$($more:ident),+>)? { $($part:ident: $type:ty),+ }) => {
        impl$(<$($more),+>)? $layer<$crate::BoxError, $crate::Plain $(, $($more),+)?> {
            /// A layer over this, for any request and response, with boxed
            /// errors.
            pub fn new($($part: $type),+) -> Self {
                $layer {
                    $($part,)+
                    binding: $crate::Plain,
                    error: ::std::marker::PhantomData,
                }
            }
        }

        impl<E, B $(, $($more),+)?> $layer<E, B $(, $($more),+)?> {
            /// The same with another error type, that of the stack: one of
            /// your own refuses without allocating.
            pub fn with_error<F>(self) -> $layer<F, B $(, $($more),+)?> {
                $layer {
                    $($part: self.$part,)+
                    binding: self.binding,
                    error: ::std::marker::PhantomData,
                }
            }

            /// The same with another binding. It is cloned for each service,
            /// and by layers that look at answers for each call: one that
            /// captures an `Arc` brings a contended count back.
            pub fn with_binding<C>(self, binding: C) -> $layer<E, C $(, $($more),+)?> {
                $layer {
                    $($part: self.$part,)+
                    binding,
                    error: ::std::marker::PhantomData,
                }
            }
        }

        impl<E, B: ::std::clone::Clone $(, $($more: ::std::clone::Clone),+)?> ::std::clone::Clone
            for $layer<E, B $(, $($more),+)?>
        {
            fn clone(&self) -> Self {
                $layer {
                    $($part: self.$part.clone(),)+
                    binding: self.binding.clone(),
                    error: ::std::marker::PhantomData,
                }
            }
        }

        impl<E, B: ::std::fmt::Debug $(, $($more: ::std::fmt::Debug),+)?> ::std::fmt::Debug
            for $layer<E, B $(, $($more),+)?>
        {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct(stringify!($layer))
                    $(.field(stringify!($part), &self.$part))+
                    .field("binding", &self.binding)
                    .finish()
            }
        }
    };
}
