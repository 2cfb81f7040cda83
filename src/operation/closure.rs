//! An operation that is a closure. Its name comes with the value, where other operations use their type's name.

use super::{Mutation, Query, ReadTx, WriteTx};
use crate::error::Result;

/// A closure as an operation.
///
/// The name is also given to the code that runs it, for failures outside the closure. A method `fn name(&self)` in
/// [`Mutation`] was turned down: a schedule must know the name before it makes the value.
pub(crate) struct Closure<F> {
    pub(crate) name: &'static str,
    /// How many bytes its captures own beyond their own size.
    pub(crate) owns: usize,
    pub(crate) run: F,
}

impl<F> Closure<F> {
    pub(crate) fn new(name: &'static str, run: F) -> Self {
        Self { name, owns: 0, run }
    }

    fn size(&self) -> usize {
        size_of_val(self).saturating_add(self.owns)
    }
}

impl<F, T> Mutation for Closure<F>
where
    F: Fn(&WriteTx<'_>) -> Result<T> + Send + 'static,
    T: Send + 'static,
{
    type Output = T;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<T> {
        (self.run)(tx).map_err(|error| error.in_operation(self.name))
    }

    fn size_bytes(&self) -> usize {
        self.size()
    }
}

impl<F, T> Query for Closure<F>
where
    F: Fn(&ReadTx<'_>) -> Result<T> + Send + 'static,
    T: Send + 'static,
{
    type Output = T;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<T> {
        (self.run)(tx).map_err(|error| error.in_operation(self.name))
    }

    fn size_bytes(&self) -> usize {
        self.size()
    }
}
