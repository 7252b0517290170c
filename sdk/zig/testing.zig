//! Helps to test functions natively, with plain `zig test` and no server:
//!
//!     var server = tandem.testing.Recorder.init(std.testing.allocator);
//!     defer server.deinit();
//!     var ctx = server.context();
//!     const out = try shout(&ctx, .{ .text = "hello" }, .{});

const std = @import("std");
const types = @import("types.zig");
const api = @import("context.zig");

const Argument = api.Argument;
const HostError = api.HostError;
const Remote = types.Remote;

/// A server that writes down what a function does to it, and runs models that are functions.
pub const Recorder = struct {
    arena: std.heap.ArenaAllocator,
    /// What was logged, recorded and measured, in order.
    lines: []Line = &.{},
    records: []Record = &.{},
    samples: []Sample = &.{},
    /// What recording answers, when set.
    record_error: ?HostError = null,
    /// The time in nanoseconds that a function sees.
    clock: i64 = 0,
    /// Models that the function may call.
    models: []const Fake = &.{},
    tickets: []Answered = &.{},

    pub const Line = struct { level: api.Level, text: []const u8 };
    pub const Record = struct { stream: []const u8, doc: []const u8 };
    pub const Sample = struct { kind: api.MetricKind, name: []const u8, value: f64 };
    /// One output of a model: a tensor, or a sequence or map as JSON.
    pub const Output = struct { name: []const u8, tensor: types.AnyTensor = undefined, json: ?[]const u8 = null };
    /// A model: it answers its outputs, in memory of the allocator.
    pub const Fake = struct {
        name: []const u8,
        run: *const fn (std.mem.Allocator, []const Argument) HostError![]const Output,
    };
    const Answered = struct { result: HostError![]const Output, open: bool = true };

    pub fn init(allocator: std.mem.Allocator) Recorder {
        return .{ .arena = std.heap.ArenaAllocator.init(allocator) };
    }

    pub fn deinit(r: *Recorder) void {
        r.arena.deinit();
    }

    /// A context over this server, without a time limit. What the function allocates lives until deinit.
    pub fn context(r: *Recorder) Context {
        return .{ .allocator = r.arena.allocator(), .host = .{ .ptr = r, .vtable = &vtable } };
    }

    fn add(r: *Recorder, comptime T: type, list: *[]T, item: T) void {
        const grown = r.arena.allocator().realloc(list.*, list.len + 1) catch @panic("out of memory");
        grown[list.len] = item;
        list.* = grown;
    }

    fn of(p: *anyopaque) *Recorder {
        return @ptrCast(@alignCast(p));
    }

    const vtable = Host.VTable{
        .log = log,
        .record = record,
        .metric = metric,
        .now = now,
        .config = config,
        .open = open,
        .run = run,
        .start = start,
        .wait = wait,
        .wait_any = waitAny,
        .read = read,
        .keep = keep,
    };

    fn log(p: *anyopaque, level: Level, text: []const u8) void {
        const r = of(p);
        r.add(Line, &r.lines, .{ .level = level, .text = text });
    }
    fn record(p: *anyopaque, stream: []const u8, doc: []const u8) HostError!void {
        const r = of(p);
        if (r.record_error) |e| return e;
        r.add(Record, &r.records, .{ .stream = stream, .doc = doc });
    }
    fn metric(p: *anyopaque, kind: MetricKind, name: []const u8, value: f64) HostError!void {
        const r = of(p);
        r.add(Sample, &r.samples, .{ .kind = kind, .name = name, .value = value });
    }
    fn now(p: *anyopaque) i64 {
        return of(p).clock;
    }
    /// Tests give a function its configuration as a struct.
    fn config(_: *anyopaque, _: std.mem.Allocator, _: []const u8) HostError!?[]const u8 {
        return null;
    }
    fn open(p: *anyopaque, name: []const u8) HostError!u32 {
        for (of(p).models, 0..) |m, i| if (std.mem.eql(u8, m.name, name)) return @intCast(i);
        return error.Denied;
    }
    fn run(p: *anyopaque, a: std.mem.Allocator, model: u32, inputs: []const Argument, outputs: []const []const u8) HostError![]Remote {
        return pick(a, try of(p).models[model].run(a, inputs), outputs);
    }
    fn start(p: *anyopaque, a: std.mem.Allocator, model: u32, inputs: []const Argument) HostError!u32 {
        const r = of(p);
        r.add(Answered, &r.tickets, .{ .result = r.models[model].run(a, inputs) });
        return @intCast(r.tickets.len);
    }
    fn wait(p: *anyopaque, a: std.mem.Allocator, ticket: u32, outputs: []const []const u8, _: i32) HostError![]Remote {
        const r = of(p);
        if (ticket == 0 or ticket > r.tickets.len or !r.tickets[ticket - 1].open) return error.NotFound;
        r.tickets[ticket - 1].open = false;
        return pick(a, try r.tickets[ticket - 1].result, outputs);
    }
    fn waitAny(p: *anyopaque, tickets: []const u32, _: i32) HostError!usize {
        const r = of(p);
        for (tickets, 0..) |t, i| if (t > 0 and t <= r.tickets.len and r.tickets[t - 1].open) return i;
        return error.NotFound;
    }
    fn read(_: *anyopaque, remote: Remote, to: []u8) HostError!void {
        if (remote.local.len != to.len) return error.BadValue;
        @memcpy(to, remote.local);
    }
    fn keep(_: *anyopaque, _: std.mem.Allocator, t: types.AnyTensor) HostError!Remote {
        return remoteOf(t);
    }
};

const Context = api.Context;
const Host = api.Host;
const Level = api.Level;
const MetricKind = api.MetricKind;

fn remoteOf(t: types.AnyTensor) Remote {
    return .{ .dtype = t.dtype, .shape = t.shape, .len = t.data.len, .local = t.data };
}

fn pick(a: std.mem.Allocator, answer: []const Recorder.Output, names: []const []const u8) HostError![]Remote {
    const out = try a.alloc(Remote, names.len);
    for (out, names, 0..) |*r, name, i| {
        r.* = for (answer, 0..) |o, k| {
            if (if (name.len == 0) k == i else std.mem.eql(u8, o.name, name)) {
                break if (o.json) |text| Remote{ .dtype = null, .shape = &.{}, .len = text.len, .local = text } else remoteOf(o.tensor);
            }
        } else return error.NotFound;
    }
    return out;
}

test "a recorder writes down and runs models" {
    const fake = struct {
        fn double(a: std.mem.Allocator, inputs: []const Argument) HostError![]const Recorder.Output {
            const x = inputs[0].value.own.as(f32).?;
            const y = try a.alloc(f32, x.len);
            for (y, x) |*to, from| to.* = 2 * from;
            const out = try a.alloc(Recorder.Output, 2);
            out[0] = .{ .name = "y", .tensor = .{ .dtype = .FP32, .shape = inputs[0].value.own.shape, .data = std.mem.sliceAsBytes(y) } };
            out[1] = .{ .name = "doc", .json = "[{}]" };
            return out;
        }
    };
    var server = Recorder.init(std.testing.allocator);
    defer server.deinit();
    server.models = &.{.{ .name = "double", .run = fake.double }};
    var ctx = server.context();
    ctx.log(.warn, "hello");
    try std.testing.expectEqualStrings("hello", server.lines[0].text);
    const x = types.Tensor(f32, null){ .shape = &.{2}, .data = &.{ 1, 2 } };
    const m = try ctx.model("double");
    const ticket = try m.start(&.{try ctx.argument("x", x)});
    try std.testing.expectEqual(@as(usize, 0), try api.waitAny(&.{ticket}, -1));
    const y = try ticket.wait(&.{ "y", "doc" }, -1);
    try std.testing.expectEqualSlices(f32, &.{ 2, 4 }, try ctx.read(f32, y[0]));
    try std.testing.expectEqualStrings("[{}]", (try ctx.readJson(y[1])).text);
    try std.testing.expectError(error.Failed, ctx.readJson(y[0]));
    try std.testing.expectError(error.Failed, ctx.read(f32, y[1]));
    try std.testing.expectError(error.NotFound, ticket.wait(&.{"y"}, -1));
    try std.testing.expectError(error.Denied, ctx.model("secret"));
}
