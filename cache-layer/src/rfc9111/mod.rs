//! The rules of RFC 9111 for a shared cache, as functions over values: no clock, no lock, no I/O.
//!
//! | file | question |
//! | --- | --- |
//! | [`directives`] | what do the `Cache-Control` lines say (section 5.2)? |
//! | [`dates`] | which moment does a date name (RFC 9110 section 5.6.7)? |
//! | [`structured`] | what do fields of RFC 9651 say? |
//! | [`targeted`] | which directives are for us in particular (RFC 9213)? |
//! | [`freshness`] | how long is it fresh, how old is it (section 4.2)? |
//! | [`lifetime`] | and how long here, within the bounds that are set (section 4.2)? |
//! | [`stated`] | where does an answer speak of its caching (RFC 9213)? |
//! | [`storable`] | may this answer be stored (section 3)? |
//! | [`status`] | which statuses, and on whose word (RFC 9110 section 15)? |
//! | [`reuse`] | may this stored answer serve that request (section 4)? |
//! | [`vary`] | were the nominated request fields the same (section 4.1)? |
//! | [`accept`] | do two lists of preferences say the same (RFC 9110 section 12.5)? |
//! | [`no_vary_search`] | which queries ask for the same? |
//! | [`invalidation`] | what does a write invalidate (section 4.4)? |
//! | [`groups`] | which answers are invalidated together (RFC 9875)? |
//! | [`precondition`] | would the client rather have a 304 (section 4.3.2)? |
//! | [`validation`] | does the origin say that it still holds (section 4.3)? |
//! | [`range`] | which octets are asked for, which were sent (RFC 9110 section 14)? |
//! | [`parts`] | what is held of an answer that came in parts (sections 3.3 and 3.4)? |
//! | [`strong`] | are two answers the same, octet for octet (RFC 9110 section 8.8)? |
//! | [`fields`] | which fields are kept (section 3.1)? |

pub(crate) mod accept;
pub(crate) mod dates;
pub(crate) mod directives;
pub(crate) mod fields;
pub(crate) mod freshness;
pub(crate) mod groups;
pub(crate) mod invalidation;
pub(crate) mod lifetime;
pub(crate) mod no_vary_search;
pub(crate) mod parts;
pub(crate) mod precondition;
pub(crate) mod range;
pub(crate) mod reuse;
pub(crate) mod stated;
pub(crate) mod status;
pub(crate) mod storable;
pub(crate) mod strong;
pub(crate) mod structured;
pub(crate) mod targeted;
pub(crate) mod validation;
pub(crate) mod vary;
