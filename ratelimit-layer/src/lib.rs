//! Tower layers that limit how often and how many at once, per client, in fixed memory.
