//! An operation that is a closure. Its name comes with it, where other operations have that of their type.

use super::{Mutation, Query, ReadTx, WriteTx};
use crate::error::Result;

/// A closure as an operation.
///
/// Its name is also handed to whoever runs it, for what fails outside the closure. A name of the value
/// in [`Mutation`], `fn name(&self)`, was turned down: a schedule has to know it before it makes one.
pub(crate) struct Closure<F> {
    pub(crate) name: &'static str,
    /// How many bytes what it has captured owns, beside its own size.
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
