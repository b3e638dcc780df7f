//! A Tower layer that keeps the heap within a budget: caches give back first, then requests are refused.
