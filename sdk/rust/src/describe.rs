use crate::abi;
use crate::port::{Inputs, Outputs, Port};
use crate::{Config, Context, Result};

/// A plugin's description, as the server reads it: JSON text.
#[derive(Debug, Clone)]
pub struct Description {
    head: String,
    functions: Vec<String>,
    faults: Vec<String>,
}

/// The ports of a function as JSON.
#[doc(hidden)]
#[derive(Default)]
pub struct PortList(Vec<String>);

impl PortList {
    /// Adds the port of one field.
    pub fn add<P: Port>(&mut self, name: &str, doc: &[&str], shape: Option<&[&str]>) {
        let kind = ["", "tensor", "bytes", "text", "json", "image"][P::KIND as usize];
        let mut port = format!("{{\"name\":{},\"kind\":\"{kind}\"", quote(name));
        if let Some(d) = P::DTYPE {
            port += &format!(",\"dtype\":\"{}\"", d.name());
        }
        if let Some(dims) = shape.or(if P::SCALAR { Some(&[]) } else { None }) {
            let dims: Vec<_> = dims.iter().map(|d| if d.parse::<u64>().is_ok() { d.to_string() } else { quote(d) }).collect();
            port += &format!(",\"shape\":[{}]", dims.join(","));
        }
        port += &doc_member(doc);
        for (name, is) in [("optional", P::OPTIONAL), ("list", P::LIST)] {
            if is {
                port += &format!(",\"{name}\":true");
            }
        }
        self.0.push(port + "}");
    }
}

/// One function of a plugin, erased of its types.
pub struct Function {
    #[doc(hidden)]
    pub decode: fn() -> Result<Box<dyn std::any::Any>>,
    #[doc(hidden)]
    pub invoke: fn(&Context, &[abi::Value], &mut [abi::Value], &dyn std::any::Any, &mut crate::port::Keep) -> Result<()>,
}

impl Description {
    /// Begins the description of a plugin.
    #[doc(hidden)]
    pub fn new(name: &str, version: &str, doc: &str, stateful: bool) -> Self {
        let mut head = format!("{{\"name\":{},\"version\":{},\"doc\":{}", quote(name), quote(version), quote(doc));
        if stateful {
            head += ",\"stateful\":true";
        }
        Description { head, functions: Vec::new(), faults: Vec::new() }
    }

    /// Adds a function; its types are those of `f`.
    #[doc(hidden)]
    pub fn add<'a, I, W, O, F>(&mut self, name: &str, doc: &[&str], outcomes: &[(&str, u8)], _: F)
    where
        I: Inputs<'a>,
        W: Config,
        O: Outputs,
        F: Fn(&Context, I, &W) -> Result<O>,
    {
        let mut f = format!("{{\"name\":{}{}", quote(name), doc_member(doc));
        for (member, describe) in [("inputs", I::describe as fn(&mut PortList)), ("outputs", O::describe)] {
            let mut list = PortList::default();
            describe(&mut list);
            f += &format!(",\"{member}\":[{}]", list.0.join(","));
        }
        if let Some(schema) = W::schema() {
            f += &format!(",\"with\":{schema}");
        }
        if !outcomes.is_empty() {
            let list: Vec<_> = outcomes.iter().map(|(name, code)| format!("{}:{code}", quote(name))).collect();
            f += &format!(",\"outcomes\":{{{}}}", list.join(","));
        }
        if let Err(crate::Error::Text(text)) = W::check() {
            self.faults.push(format!("function {name}: {text}"));
        }
        self.functions.push(f + "}");
    }

    /// The JSON text. What is wrong with the declaration stands in it too, for whoever pushes the plugin.
    pub fn json(&self) -> String {
        let mut text = format!("{},\"functions\":[{}]", self.head, self.functions.join(","));
        if !self.faults.is_empty() {
            text += &format!(",\"error\":{}", quote(&self.faults.join("; ")));
        }
        text + "}"
    }
}

/// The lines of a doc comment as a member of an object, if there are any.
pub(crate) fn doc_member(lines: &[&str]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let lines: Vec<_> = lines.iter().map(|l| l.trim()).collect();
    format!(",\"doc\":{}", quote(lines.join(" ").trim()))
}

/// A JSON string.
pub(crate) fn quote(s: &str) -> String {
    let mut out = String::with_capacity(s.len() + 2);
    out.push('"');
    for c in s.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\0'..='\x1f' => out += &format!("\\u{:04x}", c as u32),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}
