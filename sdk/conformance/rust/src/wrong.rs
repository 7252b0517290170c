//! A plugin whose declaration is wrong: the server must say what is.

use tandem_plugin::*;

inputs! {
    struct In<'a> {
        text: &'a str as "a b",
    }
}

fn wrong(_: &Context, _: In, _: &()) -> Result<()> {
    Ok(())
}

plugin! {
    name: "wrong", version: "1.0.0", doc: "",
    functions: { wrong; }
}
