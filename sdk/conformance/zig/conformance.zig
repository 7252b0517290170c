//! The conformance plugin in Zig: the same functions as c/conformance.c, which the suite calls alike.

const std = @import("std");
const tandem = @import("tandem");
const Context = tandem.Context;

const Kinds = struct {
    text: []const u8,
    json: tandem.Json,
    bytes: tandem.Bytes,
    image: tandem.Image,
    tensor: tandem.AnyTensor,
};

fn echo(_: *Context, in: Kinds) Kinds {
    return in;
}

/// Copies a tensor, so that the output is the plugin's own memory.
fn copy(ctx: *Context, in: struct { x: tandem.AnyTensor }) !struct { y: tandem.AnyTensor } {
    if (try in.x.strings(ctx.allocator)) |strings| {
        const T = tandem.Tensor([]const u8, null);
        return .{ .y = try ctx.any(T{ .shape = in.x.shape, .data = strings }) };
    }
    return .{ .y = .{ .dtype = in.x.dtype, .shape = in.x.shape, .data = try ctx.allocator.dupe(u8, in.x.data) } };
}

const Lists = struct {
    tensors: []const tandem.Tensor(f32, .{ null, 2 }),
    texts: []const []const u8,
};

fn reverse(ctx: *Context, in: Lists) !Lists {
    const tensors = try ctx.allocator.dupe(@TypeOf(in.tensors[0]), in.tensors);
    const texts = try ctx.allocator.dupe([]const u8, in.texts);
    std.mem.reverse(@TypeOf(in.tensors[0]), tensors);
    std.mem.reverse([]const u8, texts);
    return .{ .tensors = tensors, .texts = texts };
}

const Words = struct { strings: tandem.Tensor([]const u8, .{"n"}) };

fn lengths(ctx: *Context, in: Words) !struct { lengths: tandem.Tensor(i64, .{"n"}) } {
    const out = try ctx.allocator.alloc(i64, in.strings.data.len);
    for (out, in.strings.data) |*n, s| n.* = @intCast(s.len);
    return .{ .lengths = .{ .shape = in.strings.shape, .data = out } };
}

const Vector = tandem.Tensor(f32, .{"n"});

const OptionalIn = struct { tensor: ?Vector, text: ?[]const u8 };
const OptionalOut = struct { given: []const u8, tensor: ?Vector, text: ?[]const u8 };

/// Says which of the optional inputs were given, and hands them on.
fn optional(_: *Context, in: OptionalIn) OptionalOut {
    const one: []const u8 = if (in.tensor != null) "tensor" else if (in.text != null) "text" else "none";
    const given = if (in.tensor != null and in.text != null) "both" else one;
    return .{ .given = given, .tensor = in.tensor, .text = in.text };
}

const ScaleWith = struct {
    factor: f32 = 2,
    negate: ?bool = null,
    pub const rules = .{ .factor = .{ .min = -100, .max = 100 } };
};

fn scale(ctx: *Context, in: struct { x: Vector }, with: ScaleWith) !struct { y: Vector } {
    const factor = if (with.negate orelse false) -with.factor else with.factor;
    const y = try ctx.allocator.alloc(f32, in.x.data.len);
    for (y, in.x.data) |*to, from| to.* = factor * from;
    return .{ .y = .{ .shape = in.x.shape, .data = y } };
}

const Number = struct { n: i64 };
const Made = tandem.Tensor(f32, .{null});

/// Returns n tensors, of 0, 1, 2 and so on elements.
fn make(ctx: *Context, in: Number) !struct { list: []const Made } {
    if (in.n < 0 or in.n > 1000) return ctx.fail("n is not in 0..1000", .{});
    const list = try ctx.allocator.alloc(Made, @intCast(in.n));
    for (list, 0..) |*t, i| {
        const shape = try ctx.allocator.dupe(i64, &.{@intCast(i)});
        const data = try ctx.allocator.alloc(f32, i);
        @memset(data, @floatFromInt(i));
        t.* = .{ .shape = shape, .data = data };
    }
    return .{ .list = list };
}

/// Answers a tensor whose shape has one element more than its data.
fn bad(ctx: *Context, in: Number) !struct { y: Vector } {
    const data = try ctx.allocator.alloc(f32, @intCast(in.n));
    return .{ .y = .{ .shape = try ctx.allocator.dupe(i64, &.{in.n + 1}), .data = data } };
}

fn fail(ctx: *Context, in: struct { text: []const u8 }) !void {
    return ctx.fail("{s}", .{in.text});
}

fn skip(ctx: *Context, _: void) !void {
    return ctx.outcome(7);
}

/// Logs, measures and records its input.
fn tell(ctx: *Context, in: struct { doc: tandem.Json }) !struct { recorded: bool } {
    ctx.log(.warn, "told");
    try ctx.metric(.gauge, "told", 2.5);
    const recorded = if (ctx.record("told", in.doc.text)) true else |_| false;
    return .{ .recorded = recorded };
}

var calls: i64 = 0;

/// Counts its calls; each should be the first.
fn count(_: *Context, _: void) struct { calls: i64 } {
    calls += 1;
    return .{ .calls = calls };
}

const Asked = struct { y: tandem.Remote };

/// Asks models in every way there is.
fn ask(ctx: *Context, in: struct { how: []const u8, x: Vector }) !Asked {
    const How = enum { run, hand, many, denied, fail, missing };
    const how = std.meta.stringToEnum(How, in.how) orelse return ctx.fail("how is unknown", .{});
    const model = try ctx.model(switch (how) {
        .denied => "secret",
        .fail => "broken",
        else => "double",
    });
    const x = try ctx.argument("x", in.x);
    switch (how) {
        .run => {
            const y = try model.run(&.{x}, &.{"y"});
            return keep(ctx, in.x.shape, try ctx.read(f32, y[0]));
        },
        .hand => {
            const once = try model.run(&.{x}, &.{""});
            const twice = try model.run(&.{try ctx.argument("", once[0])}, &.{"y"});
            return .{ .y = twice[0] };
        },
        .many => return many(ctx, model, x),
        else => {
            const y = try model.run(&.{x}, &.{if (how == .missing) "z" else "y"});
            return .{ .y = y[0] };
        },
    }
}

fn keep(ctx: *Context, shape: []const i64, data: []const f32) !Asked {
    return .{ .y = try ctx.keep(try ctx.any(tandem.Tensor(f32, null){ .shape = shape, .data = data })) };
}

/// Starts a model three times and adds the answers up as they come.
fn many(ctx: *Context, model: tandem.Model, x: tandem.Argument) !Asked {
    var tickets: [3]tandem.Ticket = undefined;
    for (&tickets) |*t| t.* = try model.start(&.{x});
    var sum: []f32 = &.{};
    var open: usize = tickets.len;
    while (open > 0) : (open -= 1) {
        const i = try tandem.waitAny(tickets[0..open], -1);
        const y = try tickets[i].wait(&.{"y"}, -1);
        tickets[i] = tickets[open - 1];
        const data = try ctx.read(f32, y[0]);
        if (sum.len == 0) sum = data else for (sum, data) |*s, v| {
            s.* += v;
        }
    }
    return keep(ctx, x.value.own.shape, sum);
}

/// Reads what a model answers as JSON beside a tensor.
fn explain(ctx: *Context, in: struct { x: Vector }) !struct { doc: tandem.Json } {
    const model = try ctx.model("double");
    const out = try model.run(&.{try ctx.argument("x", in.x)}, &.{ "y", "doc" });
    if (ctx.read(f32, out[1])) |_| return ctx.fail("a document was read as numbers", .{}) else |_| {}
    if (ctx.readJson(out[0])) |_| return ctx.fail("numbers were read as a document", .{}) else |_| {}
    return .{ .doc = try ctx.readJson(out[1]) };
}

comptime {
    tandem.plugin(.{ .name = "conformance", .version = "1.0.0", .doc = "Calls that every SDK passes.", .functions = .{
        .{ .name = "echo", .doc = "hands every kind on", .call = echo },
        .{ .name = "copy", .doc = "copies a tensor", .call = copy },
        .{ .name = "reverse", .doc = "turns lists round", .call = reverse },
        .{ .name = "lengths", .doc = "measures strings", .call = lengths },
        .{ .name = "optional", .doc = "says what was given", .call = optional },
        .{ .name = "scale", .doc = "multiplies", .call = scale },
        .{ .name = "make", .doc = "makes a list", .call = make },
        .{ .name = "fail", .doc = "fails with its input", .call = fail },
        .{ .name = "skip", .doc = "ends with an outcome", .call = skip, .outcomes = .{ .skip = 7 } },
        .{ .name = "tell", .doc = "logs, measures and records", .call = tell },
        .{ .name = "count", .doc = "counts its calls", .call = count },
        .{ .name = "bad", .doc = "answers what it should not", .call = bad },
        .{ .name = "ask", .doc = "asks models", .call = ask },
        .{ .name = "explain", .doc = "asks for a document", .call = explain },
    } });
}
