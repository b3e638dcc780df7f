//! A Tower layer that caches HTTP responses: an RFC 9111 shared cache with bounded memory.
