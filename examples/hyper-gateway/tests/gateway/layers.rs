//! The layers, each switched on by its flag.
