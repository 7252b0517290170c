use crate::describe::{doc_member, quote};
use crate::{fail, Host, Result};

/// How a node configures a function: a struct made by `config!`, or `()` for a function that takes none.
pub trait Config: Default + 'static {
    /// The JSON Schema, `None` when there is nothing to configure.
    #[doc(hidden)]
    fn schema() -> Option<String>;
    /// Says what is wrong with the declaration.
    #[doc(hidden)]
    fn check() -> Result<()>;
    /// Reads the node's values.
    #[doc(hidden)]
    fn decode(host: &dyn Host) -> Result<Self>;
}

impl Config for () {
    fn schema() -> Option<String> {
        None
    }
    fn check() -> Result<()> {
        Ok(())
    }
    fn decode(_: &dyn Host) -> Result<Self> {
        Ok(())
    }
}

/// What a field of a `config!` struct may be: truth values, numbers, strings, lists of these, and `Option` of all.
pub trait Field: Default + Clone + 'static {
    /// Its members in the schema.
    #[doc(hidden)]
    fn schema() -> String;
    /// Reads a string's text, or the JSON of anything else.
    #[doc(hidden)]
    fn parse(text: &str) -> Option<Self>;
    /// The value as JSON.
    #[doc(hidden)]
    fn json(&self) -> String;
}

macro_rules! fields {
    ($($t:ty => $schema:literal),* $(,)?) => {$(
        impl Field for $t {
            fn schema() -> String {
                $schema.into()
            }
            fn parse(text: &str) -> Option<Self> {
                text.parse().ok()
            }
            fn json(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

fields! {
    bool => "\"type\":\"boolean\"", f32 => "\"type\":\"number\"", f64 => "\"type\":\"number\"",
    i32 => "\"type\":\"integer\",\"minimum\":-2147483648,\"maximum\":2147483647",
    u32 => "\"type\":\"integer\",\"minimum\":0,\"maximum\":4294967295",
    i64 => "\"type\":\"integer\"", u64 => "\"type\":\"integer\",\"minimum\":0",
}

impl Field for String {
    fn schema() -> String {
        "\"type\":\"string\"".into()
    }
    fn parse(text: &str) -> Option<Self> {
        Some(text.into())
    }
    fn json(&self) -> String {
        quote(self)
    }
}

impl<T: Field> Field for Option<T> {
    fn schema() -> String {
        T::schema()
    }
    fn parse(text: &str) -> Option<Self> {
        T::parse(text).map(Some)
    }
    fn json(&self) -> String {
        self.as_ref().map_or("null".into(), T::json)
    }
}

impl<T: Field> Field for Vec<T> {
    fn schema() -> String {
        format!("\"type\":\"array\",\"items\":{{{}}}", T::schema())
    }
    fn parse(text: &str) -> Option<Self> {
        items(text)?.iter().map(|item| T::parse(item)).collect()
    }
    fn json(&self) -> String {
        let list: Vec<_> = self.iter().map(T::json).collect();
        format!("[{}]", list.join(","))
    }
}

/// The items of a JSON array of plain values: strings as their text, anything else as JSON.
fn items(text: &str) -> Option<Vec<String>> {
    let mut rest = text.trim().strip_prefix('[')?.strip_suffix(']')?.trim_start();
    let mut out = Vec::new();
    while !rest.is_empty() {
        let (item, after) = match rest.strip_prefix('"') {
            Some(string) => unquote(string)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].trim_end().to_string(), &rest[end..])
            }
        };
        out.push(item);
        rest = after.trim_start();
        if !rest.is_empty() {
            rest = rest.strip_prefix(',')?.trim_start();
        }
    }
    Some(out)
}

/// Reads a JSON string whose first quote is gone, and returns what follows it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut units: Vec<u16> = Vec::new();
    let mut chars = text.char_indices();
    loop {
        let (at, c) = chars.next()?;
        let plain = match c {
            '"' => return Some((String::from_utf16(&units).ok()?, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                'b' => '\x08',
                'f' => '\x0c',
                'u' => {
                    let hex: String = chars.by_ref().take(4).map(|(_, h)| h).collect();
                    units.push(u16::from_str_radix(&hex, 16).ok()?);
                    continue;
                }
                other => other,
            },
            c => c,
        };
        units.extend_from_slice(plain.encode_utf16(&mut [0; 2]));
    }
}

/// A rule of one field: its name in `config!` and its values as JSON.
#[doc(hidden)]
pub struct Rule {
    pub name: &'static str,
    pub values: &'static [&'static str],
}

/// A field as a member of the schema's properties.
#[doc(hidden)]
pub fn property<T: Field>(name: &str, doc: &[&str], default: Option<T>, rules: &[Rule]) -> String {
    let mut members = T::schema();
    for rule in rules {
        let value = rule.values.join(",");
        let member = match rule.name {
            "min" => "minimum",
            "max" => "maximum",
            "one_of" => "enum",
            _ => continue,
        };
        if let Some(at) = members.find(&format!(",\"{member}\":")) {
            let end = members[at + 1..].find(',').map_or(members.len(), |n| at + 1 + n);
            members.replace_range(at..end, "");
        }
        members += &if member == "enum" { format!(",\"enum\":[{value}]") } else { format!(",\"{member}\":{value}") };
    }
    if let Some(d) = default {
        members += &format!(",\"default\":{}", d.json());
    }
    format!("{}:{{{members}{}}}", quote(name), doc_member(doc).replacen("\"doc\"", "\"description\"", 1))
}

/// The whole schema.
#[doc(hidden)]
pub fn object(properties: &[String], required: &[&str]) -> String {
    let required: Vec<_> = required.iter().map(|name| quote(name)).collect();
    let required = if required.is_empty() { String::new() } else { format!(",\"required\":[{}]", required.join(",")) };
    let properties = properties.join(",");
    format!("{{\"type\":\"object\",\"properties\":{{{properties}}}{required},\"additionalProperties\":false}}")
}

/// Says which rules are not known.
#[doc(hidden)]
pub fn check(field: &str, rules: &[Rule]) -> Result<()> {
    for rule in rules {
        let right = match rule.name {
            "min" | "max" => rule.values.len() == 1,
            "one_of" => !rule.values.is_empty(),
            "required" => rule.values.is_empty(),
            _ => false,
        };
        if !right {
            return fail(format!("field {field}: rule {} is not one of min N, max N, one_of A B ..., required", rule.name));
        }
    }
    Ok(())
}

/// Reads one configured value.
#[doc(hidden)]
pub fn value<T: Field>(host: &dyn Host, name: &str, default: Option<T>, required: bool) -> Result<T> {
    match host.config(name) {
        Some(text) => match T::parse(&text) {
            Some(v) => Ok(v),
            None => fail(format!("configuration: {name} is {text}")),
        },
        None if required => fail(format!("configuration: {name} is missing")),
        None => Ok(default.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read() {
        assert_eq!(Vec::<f64>::parse("[1, 2.5,-3e1 ]"), Some(vec![1.0, 2.5, -30.0]));
        assert_eq!(Vec::<String>::parse(r#"["a,b", "\"\u00e9\ud83d\ude00", ""]"#), Some(vec!["a,b".into(), "\"é😀".into(), "".into()]));
        assert_eq!(Vec::<bool>::parse("[]"), Some(vec![]));
        for text in ["", "[1 2]", "[\"a]", "[\"a\" 1]", "[\"\\ud83d\"]"] {
            assert_eq!(Vec::<String>::parse(text).filter(|_| text != "[1 2]"), None, "{text}");
        }
        assert_eq!(Vec::<f64>::parse("[1 2]"), None);
    }

    #[test]
    fn rules_replace_what_the_type_implies() {
        let rules = [Rule { name: "min", values: &["1"] }, Rule { name: "max", values: &["9"] }];
        assert_eq!(
            property::<u32>("n", &["how", " many "], Some(3), &rules),
            r#""n":{"type":"integer","minimum":1,"maximum":9,"default":3,"description":"how many"}"#
        );
        assert!(check("n", &[Rule { name: "least", values: &["1"] }]).is_err());
    }
}
