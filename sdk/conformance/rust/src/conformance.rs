//! The conformance plugin in Rust: the same functions as c/conformance.c, which the suite calls alike.

use std::cell::Cell;

use tandem_plugin::*;

ports! {
    struct Kinds<'a> {
        text: &'a str,
        json: Json<'a>,
        bytes: Bytes<'a>,
        image: Image<'a>,
        tensor: AnyTensor<'a>,
    }
}

fn echo<'a>(_: &Context, input: Kinds<'a>, _: &()) -> Result<Kinds<'a>> {
    Ok(input)
}

inputs! {
    struct X<'a> {
        x: AnyTensor<'a>,
    }
}
outputs! {
    struct Y<'a> {
        y: AnyTensor<'a>,
    }
}

/// Copies a tensor, so that the output is the plugin's own memory.
fn copy_tensor(_: &Context, input: X, _: &()) -> Result<Y<'static>> {
    if let Some(strings) = input.x.strings() {
        return Ok(Y { y: strings.any() });
    }
    Ok(Y { y: AnyTensor { dtype: input.x.dtype, shape: input.x.shape, data: input.x.data.to_vec().into() } })
}

ports! {
    struct Lists<'a> {
        tensors: Vec<Tensor<'a, f32>> [?, 2],
        texts: Vec<&'a str>,
    }
}

fn reverse<'a>(_: &Context, mut input: Lists<'a>, _: &()) -> Result<Lists<'a>> {
    input.tensors.reverse();
    input.texts.reverse();
    Ok(input)
}

inputs! {
    struct Words<'a> {
        strings: Strings<'a> [n],
    }
}
outputs! {
    struct Lengths {
        lengths: Tensor<'static, i64> [n],
    }
}

fn lengths(_: &Context, input: Words, _: &()) -> Result<Lengths> {
    let data: Vec<i64> = input.strings.data.iter().map(|s| s.len() as i64).collect();
    Ok(Lengths { lengths: Tensor::new(input.strings.shape, data) })
}

inputs! {
    struct Optional<'a> {
        tensor: Option<Tensor<'a, f32>> [n],
        text: Option<&'a str>,
    }
}
outputs! {
    struct Given<'a> {
        given: &'static str,
        tensor: Option<Tensor<'a, f32>> [n],
        text: Option<&'a str>,
    }
}

/// Says which of the optional inputs were given, and hands them on.
fn optional<'a>(_: &Context, input: Optional<'a>, _: &()) -> Result<Given<'a>> {
    let given = match (&input.tensor, &input.text) {
        (None, None) => "none",
        (Some(_), None) => "tensor",
        (None, Some(_)) => "text",
        (Some(_), Some(_)) => "both",
    };
    Ok(Given { given, tensor: input.tensor, text: input.text })
}

inputs! {
    struct ScaleIn<'a> {
        x: Tensor<'a, f32> [n],
    }
}
outputs! {
    struct ScaleOut {
        y: Tensor<'static, f32> [n],
    }
}
config! {
    struct ScaleWith {
        factor: f32 = 2.0, min -100, max 100;
        negate: bool;
    }
}

fn scale(_: &Context, input: ScaleIn, with: &ScaleWith) -> Result<ScaleOut> {
    let factor = if with.negate { -with.factor } else { with.factor };
    let data: Vec<f32> = input.x.data.iter().map(|v| factor * v).collect();
    Ok(ScaleOut { y: Tensor::new(input.x.shape, data) })
}

inputs! {
    struct Number {
        n: i64,
    }
}
outputs! {
    struct Made {
        list: Vec<Tensor<'static, f32>> [?],
    }
}

/// Returns n tensors, of 0, 1, 2 and so on elements.
fn make(_: &Context, input: Number, _: &()) -> Result<Made> {
    if !(0..=1000).contains(&input.n) {
        return fail("n is not in 0..1000");
    }
    let list = (0..input.n).map(|i| Tensor::new([i], vec![i as f32; i as usize])).collect();
    Ok(Made { list })
}

/// Answers a tensor whose shape has one element more than its data.
fn bad(_: &Context, input: Number, _: &()) -> Result<ScaleOut> {
    Ok(ScaleOut { y: Tensor::new([input.n + 1], vec![0f32; input.n as usize]) })
}

inputs! {
    struct Text<'a> {
        text: &'a str,
    }
}

fn fail_with(_: &Context, input: Text, _: &()) -> Result<()> {
    fail(input.text)
}

fn skip(_: &Context, _: (), _: &()) -> Result<()> {
    outcome(7)
}

inputs! {
    struct Doc<'a> {
        doc: Json<'a>,
    }
}
outputs! {
    struct Told {
        recorded: bool,
    }
}

/// Logs, measures and records its input.
fn tell(ctx: &Context, input: Doc, _: &()) -> Result<Told> {
    ctx.log(Level::Warn, "told");
    ctx.metric(MetricKind::Gauge, "told", 2.5)?;
    Ok(Told { recorded: ctx.record("told", &input.doc.0).is_ok() })
}

outputs! {
    struct Calls {
        calls: i64,
    }
}

thread_local!(static CALLS: Cell<i64> = Cell::new(0));

/// Counts its calls; each should be the first.
fn count(_: &Context, _: (), _: &()) -> Result<Calls> {
    CALLS.with(|c| {
        c.set(c.get() + 1);
        Ok(Calls { calls: c.get() })
    })
}

inputs! {
    struct AskIn<'a> {
        how: &'a str,
        x: Tensor<'a, f32> [n],
    }
}
outputs! {
    struct Asked {
        y: Remote,
    }
}

/// Asks models in every way there is.
fn ask(ctx: &Context, input: AskIn, _: &()) -> Result<Asked> {
    let x = [Argument::tensor("x", &input.x)];
    let answer = |outputs: Result<Vec<Remote>, HostError>| Ok(Asked { y: outputs?.remove(0) });
    match input.how {
        "run" => {
            let y = ctx.model("double")?.run(&x, &["y"])?.remove(0).read::<f32>(ctx)?;
            Ok(Asked { y: ctx.keep(&y.any())? })
        }
        "hand" => {
            let double = ctx.model("double")?;
            let once = double.run(&x, &[""])?;
            answer(double.run(&[Argument::remote("", &once[0])], &["y"]))
        }
        "many" => many(ctx, &x),
        "denied" => answer(ctx.model("secret")?.run(&x, &["y"])),
        "fail" => answer(ctx.model("broken")?.run(&x, &["y"])),
        "missing" => answer(ctx.model("double")?.run(&x, &["z"])),
        _ => fail("how is unknown"),
    }
}

/// Starts a model three times and adds the answers up as they come.
fn many(ctx: &Context, x: &[Argument]) -> Result<Asked> {
    let double = ctx.model("double")?;
    let mut tickets = (0..3).map(|_| double.start(x)).collect::<Result<Vec<_>, _>>()?;
    let mut sum: Option<Tensor<f32>> = None;
    while !tickets.is_empty() {
        let ticket = tickets.remove(wait_any(&tickets, -1)?);
        let y = ticket.wait(&["y"])?.remove(0).read::<f32>(ctx)?;
        match &mut sum {
            None => sum = Some(y),
            Some(s) => s.data_mut().iter_mut().zip(y.data.iter()).for_each(|(s, v)| *s += v),
        }
    }
    let sum = sum.ok_or_else(|| Error::new("no answers"))?;
    Ok(Asked { y: ctx.keep(&sum.any())? })
}

inputs! {
    struct ExplainIn<'a> {
        x: Tensor<'a, f32> [n],
    }
}
outputs! {
    struct Explained {
        doc: Json<'static>,
    }
}

/// Reads what a model answers as JSON beside a tensor.
fn explain(ctx: &Context, input: ExplainIn, _: &()) -> Result<Explained> {
    let out = ctx.model("double")?.run(&[Argument::tensor("x", &input.x)], &["y", "doc"])?;
    if out[1].read::<f32>(ctx).is_ok() || out[0].read_json(ctx).is_ok() {
        return fail("a tensor and a document were taken for each other");
    }
    Ok(Explained { doc: out[1].read_json(ctx)? })
}

plugin! {
    name: "conformance", version: "1.0.0", doc: "Calls that every SDK passes.",
    functions: {
        /// hands every kind on
        echo;
        /// copies a tensor
        copy = copy_tensor;
        /// turns lists round
        reverse;
        /// measures strings
        lengths;
        /// says what was given
        optional;
        /// multiplies
        scale;
        /// makes a list
        make;
        /// fails with its input
        fail = fail_with;
        /// ends with an outcome
        skip, outcomes { skip: 7 };
        /// logs, measures and records
        tell;
        /// counts its calls
        count;
        /// answers what it should not
        bad;
        /// asks models
        ask;
        /// asks for a document
        explain;
    }
}
