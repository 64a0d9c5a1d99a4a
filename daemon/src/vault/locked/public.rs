//! What may leave a locked stack.

/// Marks a type that never holds a secret: the only results of [`super::Locked::inside`].
///
/// There is no impl for slices, arrays, `Vec`, `String` or integers wider than a length: a key could leave in them.
/// Each type is listed where it is defined, so that a reviewer finds all of them by this trait's name.
pub trait Public {}

impl Public for () {}
impl Public for bool {}
impl<T: Public, E: Public> Public for Result<T, E> {}
impl<T: Public> Public for Option<T> {}
impl<A: Public, B: Public> Public for (A, B) {}
impl Public for super::MemoryError {}
