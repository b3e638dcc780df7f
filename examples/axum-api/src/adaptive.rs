//! By what the limit for all clients together follows the handlers.

use clap::ValueEnum;
use ratelimit_layer::Adaptive;

/// Values of `--adaptive`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AdaptiveBy {
    /// There is no such limit.
    Off,
    /// The gradient of its round trips.
    Gradient2,
    /// How many requests queue, by its round trips.
    Vegas,
    /// Its errors and time-outs.
    Aimd,
}

impl AdaptiveBy {
    pub(crate) fn limit(self) -> Option<Adaptive> {
        match self {
            Self::Off => None,
            Self::Gradient2 => Some(Adaptive::gradient2()),
            Self::Vegas => Some(Adaptive::vegas()),
            Self::Aimd => Some(Adaptive::aimd()),
        }
    }
}
