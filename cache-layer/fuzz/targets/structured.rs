//! Structured fields: `No-Vary-Search` with the queries that it is about, and groups of answers.
#![no_main]

use cache_layer::CacheLayer;
use cache_layer::fuzzing::{Keying, Rule, groups_of, invalidated_groups};
use cache_layer_fuzz::{fields, lines};
use http::{HeaderMap, HeaderValue, Uri};
use libfuzzer_sys::fuzz_target;
use sfv::{BareItem, Dictionary, InnerList, Item, List, ListEntry, Parser};
use std::collections::BTreeSet;
use std::sync::LazyLock;

static KEYING: LazyLock<Keying> = LazyLock::new(|| Keying::of(&CacheLayer::new(1 << 20)));

/// What an answer says of its queries.
#[derive(Debug)]
struct Model {
    any_order: bool,
    only_named: bool,
    names: BTreeSet<String>,
}

impl Model {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let line = in_one_line(headers, "no-vary-search")?;
        let members = Parser::new(&line).parse::<Dictionary>().ok()?;
        let any_order = match members.get("key-order") {
            Some(ListEntry::Item(item)) => item.bare_item.as_boolean()?,
            Some(ListEntry::InnerList(_)) => return None,
            None => false,
        };
        let (only_named, named) = match (members.get("params"), members.get("except")) {
            (Some(_), Some(_)) => return None,
            (Some(params), None) => (false, inside(params)?),
            (None, Some(except)) => (true, inside(except)?),
            (None, None) => (false, Vec::new()),
        };
        let named = named.iter().map(|name| {
            let name = String::from_utf8(unescaped(name)).ok()?;
            (name.len() <= 256).then_some(name)
        });
        let names: BTreeSet<_> = named.collect::<Option<_>>()?;
        let has_effect = any_order || only_named || !names.is_empty();
        (has_effect && names.len() <= 64).then_some(Self {
            any_order,
            only_named,
            names,
        })
    }

    /// What of a query counts, as the URL standard reads it.
    fn pairs(&self, query: &str) -> Vec<(String, String)> {
        let all = form_urlencoded::parse(query.as_bytes()).into_owned();
        let mut pairs: Vec<_> = all
            .filter(|(name, _)| self.names.contains(name) == self.only_named)
            .collect();
        if self.any_order {
            pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        pairs
    }

    fn print(&self) -> HeaderValue {
        let escaped = |name: &String| {
            name.bytes()
                .map(|byte| format!("%{byte:02x}"))
                .collect::<String>()
        };
        let names: Vec<_> = self
            .names
            .iter()
            .map(|name| format!("\"{}\"", escaped(name)))
            .collect();
        let named = if self.only_named { "except" } else { "params" };
        let order = u8::from(self.any_order);
        format!("{named}=({}), key-order=?{order}", names.join(" "))
            .parse()
            .expect("a valid value")
    }
}

fn in_one_line(headers: &HeaderMap, name: &str) -> Option<Vec<u8>> {
    let all: Vec<_> = lines(headers, name).collect();
    (!all.is_empty()).then(|| all.join(&b", "[..]))
}

/// The strings of an inner list of strings.
fn inside(entry: &ListEntry) -> Option<Vec<String>> {
    let ListEntry::InnerList(InnerList { items, .. }) = entry else {
        return None;
    };
    items.iter().map(string).collect()
}

fn string(item: &Item) -> Option<String> {
    match &item.bare_item {
        BareItem::String(string) => Some(string.as_str().to_owned()),
        _ => None,
    }
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut rest = text.as_bytes();
    let mut all = Vec::new();
    while let [octet, after @ ..] = rest {
        let escape = after
            .get(..2)
            .filter(|hex| *octet == b'%' && hex.iter().all(u8::is_ascii_hexdigit));
        let escape = escape.and_then(|hex| u8::from_str_radix(str::from_utf8(hex).ok()?, 16).ok());
        all.push(escape.unwrap_or(if *octet == b'+' { b' ' } else { *octet }));
        rest = if escape.is_some() { &after[2..] } else { after };
    }
    all
}

fn groups_model(headers: &HeaderMap, name: &str) -> BTreeSet<String> {
    let strings = || {
        let list = Parser::new(&in_one_line(headers, name)?)
            .parse::<List>()
            .ok()?;
        list.iter()
            .map(|entry| match entry {
                ListEntry::Item(item) => string(item),
                ListEntry::InnerList(_) => None,
            })
            .collect::<Option<_>>()
    };
    strings().unwrap_or_default()
}

fuzz_target!(|input: &[u8]| {
    let headers = fields(input);

    let (rule, model) = (Rule::of(&headers), Model::of(&headers));
    assert_eq!(rule.is_some(), model.is_some(), "{model:?}");
    if let (Some(rule), Some(model)) = (rule, model) {
        let printed = HeaderMap::from_iter([(
            http::HeaderName::from_static("no-vary-search"),
            model.print(),
        )]);
        assert_eq!(Rule::of(&printed).as_ref(), Some(&rule));
        let queries = headers
            .get_all("query")
            .into_iter()
            .filter_map(|value| value.to_str().ok());
        let queries: Vec<_> = queries.take(2).collect();
        for query in &queries {
            let canonical = rule.canonical(Some(query));
            assert_eq!(rule.canonical(Some(&canonical)), canonical);
            assert_eq!(model.pairs(&canonical), model.pairs(query));
        }
        if let [one, other] = queries[..] {
            let same = model.pairs(one) == model.pairs(other);
            assert_eq!(
                rule.canonical(Some(one)) == rule.canonical(Some(other)),
                same
            );
            the_keys_agree(&rule, [one, other], same);
        }
    }

    let (groups, model) = (groups_of(&headers), groups_model(&headers, "cache-groups"));
    let is_kept = |group: &String| group.len() <= 256;
    let within_bounds = model.len() <= 128 && model.iter().all(is_kept);
    assert_eq!(groups, within_bounds.then(|| model.into_iter().collect()));
    let mut invalidated = groups_model(&headers, "cache-group-invalidation");
    invalidated.retain(is_kept);
    assert_eq!(
        BTreeSet::from_iter(invalidated_groups(&headers)),
        invalidated
    );
});

/// Queries share a key by a rule where they ask for the same, and no key without one.
fn the_keys_agree(rule: &Rule, queries: [&str; 2], same: bool) {
    // A fragment is no part of a target.
    let uri = |query| format!("http://a/b?{query}").parse::<Uri>().ok();
    let exact = queries.map(|query| uri(query).filter(|_| !query.contains('#')));
    let [Some(one), Some(other)] = exact.map(|uri| KEYING.key_of_uri(&uri?)) else {
        return;
    };
    let [by_rule, other_by_rule] = [&one, &other].map(|key| key.by_rule(rule, 7));
    assert_eq!(by_rule == other_by_rule, same);
    assert_eq!(by_rule.digests() == other_by_rule.digests(), same);
    assert!(by_rule.parts() != one.parts() && by_rule.parts() != one.by_rule(rule, 8).parts());
}
