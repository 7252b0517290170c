//! The smallest useful plugin: it repeats a text in capitals.

use tandem_plugin::{config, fail, inputs, outputs, plugin, Context, Level, Result};

inputs! {
    pub struct In<'a> {
        /// what to say
        text: &'a str,
    }
}

config! {
    pub struct With {
        /// exclamation marks to add
        marks: u32 = 1, min 0, max 9;
    }
}

outputs! {
    #[derive(Debug, PartialEq)]
    pub struct Out {
        text: String,
        /// bytes of the text
        length: i64,
    }
}

/// Says it louder. Nothing to say is an error.
pub fn shout(ctx: &Context, input: In, with: &With) -> Result<Out> {
    if input.text.is_empty() {
        return fail("nothing to say");
    }
    ctx.log(Level::Debug, "shouting");
    let text = input.text.to_uppercase() + &"!".repeat(with.marks as usize);
    Ok(Out { length: text.len() as i64, text })
}

plugin! {
    name: "shout", version: "0.1.0", doc: "Says it louder.",
    functions: {
        /// repeats a text in capitals
        shout;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_plugin::testing::Recorder;

    #[test]
    fn it_shouts() {
        let server = Recorder::default();
        let out = shout(&server.context(), In { text: "hello" }, &With { marks: 2 });
        assert_eq!(out, Ok(Out { text: "HELLO!!".into(), length: 7 }));
        assert_eq!(server.lines.borrow().len(), 1);
    }

    #[test]
    fn nothing_to_say_is_an_error() {
        let server = Recorder::default();
        assert!(shout(&server.context(), In { text: "" }, &With::default()).is_err());
    }
}
