//! Structured fields (RFC 9651), as far as caches are spoken to in them.
//!
//! All lines of a field are one value, and one error makes all of it invalid (section 4.2).

use http::{HeaderMap, HeaderName, HeaderValue};
use sfv::visitor::{
    DictionaryVisitor, EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ListVisitor,
    ParameterVisitor,
};
use sfv::{BareItemFromInput, KeyRef, Parser};
use std::convert::Infallible;

/// The value of a member, without its parameters: none of our fields defines any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Member {
    Flag(bool),
    Integer(i64),
    String(String),
    /// An inner list of nothing but strings.
    Strings(Vec<String>),
    /// A type that no directive of ours has.
    Other,
}

/// The members of a Dictionary, each once, in no order; None if it is absent or invalid.
pub(crate) fn dictionary(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<(String, Member)>> {
    parse(headers, name, |parser| {
        parser.parse_dictionary_with_visitor(Dictionary(Vec::new()))
    })
}

/// A List of Strings; None if it is absent, or anything else.
pub(crate) fn strings(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<String>> {
    let members = parse(headers, name, |parser| {
        parser.parse_list_with_visitor(List(Vec::new()))
    })?;
    let string = |member| match member {
        Member::String(string) => Some(string),
        _ => None,
    };
    members.into_iter().map(string).collect()
}

fn parse<T>(
    headers: &HeaderMap,
    name: &HeaderName,
    read: impl FnOnce(Parser<'_>) -> Result<T, sfv::Error>,
) -> Option<T> {
    let lines: Vec<_> = headers
        .get_all(name)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    match lines[..] {
        [] => None,
        [line] => read(Parser::new(line)).ok(),
        _ => read(Parser::new(&lines.join(&b", "[..]))).ok(),
    }
}

struct Dictionary(Vec<(String, Member)>);

impl<'de> DictionaryVisitor<'de> for Dictionary {
    type Out = Vec<(String, Member)>;
    type Error = Infallible;

    fn entry(&mut self, key: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Infallible> {
        self.0.push((key.as_str().to_owned(), Member::Other));
        Ok(self.0.last_mut().map(|(_, member)| member))
    }

    fn finish(mut self) -> Result<Self::Out, Infallible> {
        // Section 4.2.2: the last of several wins; the sort is stable.
        self.0.reverse();
        self.0.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.0.dedup_by(|(one, _), (other, _)| one == other);
        Ok(self.0)
    }
}

struct List(Vec<Member>);

impl<'de> ListVisitor<'de> for List {
    type Out = Vec<Member>;
    type Error = Infallible;

    fn entry(&mut self) -> Result<impl EntryVisitor<'de>, Infallible> {
        self.0.push(Member::Other);
        Ok(self.0.last_mut())
    }

    fn finish(self) -> Result<Self::Out, Infallible> {
        Ok(self.0)
    }
}

impl<'de> EntryVisitor<'de> for &mut Member {
    type Error = Infallible;

    fn item(self) -> Result<impl ItemVisitor<'de>, Infallible> {
        Ok(|item: BareItemFromInput<'de>| {
            *self = match item {
                BareItemFromInput::Boolean(flag) => Member::Flag(flag),
                BareItemFromInput::Integer(number) => Member::Integer(number.into()),
                BareItemFromInput::String(string) => Member::String(string.as_str().to_owned()),
                _ => Member::Other,
            };
            Ok::<_, Infallible>(Ignored)
        })
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Infallible> {
        *self = Member::Strings(Vec::new());
        Ok(InnerList(self))
    }
}

struct InnerList<'a>(&'a mut Member);

impl<'de> InnerListVisitor<'de> for InnerList<'_> {
    type Error = Infallible;

    fn item(&mut self) -> Result<impl ItemVisitor<'de>, Infallible> {
        Ok(|item: BareItemFromInput<'de>| {
            match (item, &mut *self.0) {
                (BareItemFromInput::String(string), Member::Strings(all)) => {
                    all.push(string.as_str().to_owned());
                }
                (_, member) => *member = Member::Other,
            }
            Ok::<_, Infallible>(Ignored)
        })
    }

    fn finish(self) -> Result<impl ParameterVisitor<'de>, Infallible> {
        Ok(Ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAME: HeaderName = HeaderName::from_static("x");

    fn map(lines: &[&str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for line in lines {
            map.append(NAME, line.parse().unwrap());
        }
        map
    }

    fn members(lines: &[&str]) -> Option<Vec<(String, Member)>> {
        dictionary(&map(lines), &NAME)
    }

    fn list(lines: &[&str]) -> Option<Vec<String>> {
        strings(&map(lines), &NAME)
    }

    #[test]
    fn types_of_members() {
        let strings = |all: &[&str]| Member::Strings(all.iter().map(ToString::to_string).collect());
        for (value, expected) in [
            ("k", Member::Flag(true)),
            ("k;p=1", Member::Flag(true)),
            ("k=?0", Member::Flag(false)),
            ("k=-5;p", Member::Integer(-5)),
            ("k=999999999999999", Member::Integer(999_999_999_999_999)),
            (r#"k="a\"b""#, Member::String("a\"b".into())),
            ("k=1.5", Member::Other),
            ("k=token", Member::Other),
            ("k=@5", Member::Other),
            ("k=:YQ==:", Member::Other),
            ("k=()", strings(&[])),
            (r#"k=("a";p  "b");q"#, strings(&["a", "b"])),
            (r#"k=("a" b "c")"#, Member::Other),
        ] {
            assert_eq!(
                members(&[value]),
                Some(vec![("k".into(), expected)]),
                "{value}"
            );
        }
    }

    #[test]
    fn lines_are_one_value_and_the_last_of_a_key_counts() {
        let expected = [
            ("a".to_owned(), Member::Integer(3)),
            ("b".to_owned(), Member::Flag(true)),
        ];
        for lines in [&["a=1, b, a=3"][..], &["a=1", "b,a=3"], &["b, a=2,a=3"]] {
            assert_eq!(members(lines).as_deref(), Some(&expected[..]), "{lines:?}");
        }
    }

    #[test]
    fn one_error_makes_all_of_it_invalid() {
        assert_eq!(members(&[]), None);
        assert_eq!(members(&[""]), Some(Vec::new()));
        for lines in [
            &["a, &&&&&"][..],
            &["a", "&"],
            &["a,"],
            &["a", ""],
            &["A=1"],
            &["a =1"],
            &["a= 1"],
            &["a=1000000000000000"],
            &["a=\"x"],
            &["a=\"\u{e9}\""],
        ] {
            assert_eq!(members(lines), None, "{lines:?}");
        }
    }

    #[test]
    fn lists_of_strings_and_nothing_else() {
        for (lines, expected) in [
            (&[r#""a", "B";p=1"#][..], Some(&["a", "B"][..])),
            (&[r#""a""#, r#""b c""#], Some(&["a", "b c"])),
            (&[""], Some(&[])),
            (&[r#""a", b"#], None),
            (&[r#"("a")"#], None),
            (&["1"], None),
            (&[r#""a","#], None),
            (&[r#""a"#], None),
            (&[], None),
        ] {
            let expected = expected.map(|all| all.iter().map(ToString::to_string).collect());
            assert_eq!(list(lines), expected, "{lines:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(lines in proptest::collection::vec("[ -~\t]{0,40}", 0..3)) {
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            members(&lines);
            list(&lines);
        }

        #[test]
        fn strings_are_read_as_they_were_written(
            all in proptest::collection::vec("[ -~]{0,9}", 1..5), cut in 0usize..5,
        ) {
            let quoted: Vec<_> = all.iter().map(|string| format!("{string:?}")).collect();
            let (first, second) = quoted.split_at(cut.min(quoted.len() - 1));
            let lines = [first.join(", "), second.join(",")];
            let lines = lines.iter().map(String::as_str).filter(|line| !line.is_empty());
            let lines: Vec<_> = lines.collect();
            prop_assert_eq!(list(&lines), Some(all));
        }
    }
}
