//! What becomes of a request for which there is no room: refused at once, or in line.

use std::mem;

/// Nobody waits: what goes beyond a limit is refused at once. Asks nothing of the service below.
#[derive(Debug, Clone, Copy)]
pub enum AtOnce {}

/// What goes beyond a limit waits in its client's line; see
/// [`wait`](crate::ConcurrencyLimitLayer::wait). Asks for a service below that is `Clone`.
#[derive(Debug, Clone, Copy)]
pub enum InLine {}

/// [`AtOnce`] or [`InLine`]: whether requests wait for a place, and what that asks of the service
/// below.
pub trait Patience<S>: sealed::Sealed {
    /// Something put by for later, with the service that was ready.
    #[doc(hidden)]
    type Held<T>;

    /// Puts `rest` by if `line_up` finds it a place in line. `full` is why it could not go on.
    #[doc(hidden)]
    fn hold<T, Turn, Full>(
        ready: &mut S,
        full: Full,
        rest: T,
        line_up: impl FnOnce(&T) -> Result<Turn, Full>,
    ) -> Result<(Turn, Self::Held<T>), (Full, T)>;

    /// What was put by.
    #[doc(hidden)]
    fn open<T>(held: Self::Held<T>) -> (S, T);
}

impl<S> Patience<S> for AtOnce {
    type Held<T> = Self;

    fn hold<T, Turn, Full>(
        _: &mut S,
        full: Full,
        rest: T,
        _: impl FnOnce(&T) -> Result<Turn, Full>,
    ) -> Result<(Turn, Self), (Full, T)> {
        Err((full, rest))
    }

    fn open<T>(held: Self) -> (S, T) {
        match held {}
    }
}

impl<S: Clone> Patience<S> for InLine {
    type Held<T> = (S, T);

    fn hold<T, Turn, Full>(
        ready: &mut S,
        _: Full,
        rest: T,
        line_up: impl FnOnce(&T) -> Result<Turn, Full>,
    ) -> Result<(Turn, (S, T)), (Full, T)> {
        match line_up(&rest) {
            Ok(turn) => {
                // The ready one is kept: calling the clone, which is not, would be wrong.
                let clone = ready.clone();
                Ok((turn, (mem::replace(ready, clone), rest)))
            }
            Err(full) => Err((full, rest)),
        }
    }

    fn open<T>(held: (S, T)) -> (S, T) {
        held
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::AtOnce {}
    impl Sealed for super::InLine {}
}
