//! A list that is lent by the proxy or owned by the decoder.

use std::ops::Deref;

/// A list that is lent or owned. (`Cow` would do, were it covariant: entries must shrink their lifetimes.)
#[derive(Clone, Debug)]
pub enum List<'a, T> {
    /// Somebody else's.
    Lent(&'a [T]),
    /// Its own.
    Owned(Vec<T>),
}

impl<T> List<'_, T> {
    /// A list of nothing.
    #[must_use]
    pub const fn empty() -> Self {
        List::Lent(&[])
    }
}

impl<T> Deref for List<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            List::Lent(items) => items,
            List::Owned(items) => items,
        }
    }
}

impl<T: PartialEq> PartialEq for List<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for List<'_, T> {}

impl<'a, T> From<&'a [T]> for List<'a, T> {
    fn from(items: &'a [T]) -> Self {
        List::Lent(items)
    }
}

impl<'a, T, const N: usize> From<&'a [T; N]> for List<'a, T> {
    fn from(items: &'a [T; N]) -> Self {
        List::Lent(items)
    }
}

impl<T> From<Vec<T>> for List<'_, T> {
    fn from(items: Vec<T>) -> Self {
        List::Owned(items)
    }
}
