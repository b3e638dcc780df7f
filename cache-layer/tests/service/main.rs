//! The layer from outside: a scripted origin below, a client above, a clock that stands still.

mod fills;
mod reuse;
mod room;
mod stress;
mod support;
mod validation;
