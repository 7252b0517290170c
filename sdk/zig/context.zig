//! What a function knows about its call, and what it reaches outside of the sandbox.

const std = @import("std");
const types = @import("types.zig");

pub const Level = enum(i32) { debug = 0, info, warn, err };
pub const MetricKind = enum(i32) { counter = 0, gauge, histogram };

/// Why the server refused something.
pub const HostError = error{ NotFound, BadValue, TooLarge, Quota, Deadline, Denied, Busy, Model, OutOfMemory };

/// An error as a text for people.
pub fn errorText(e: anyerror) []const u8 {
    return switch (e) {
        error.NotFound => "not found",
        error.BadValue => "refused by the server",
        error.TooLarge => "too large",
        error.Quota => "quota used up",
        error.Deadline => "out of time",
        error.Denied => "denied",
        error.Busy => "busy",
        error.Model => "the model failed",
        error.OutOfMemory => "out of memory",
        else => @errorName(e),
    };
}

/// What is behind a context: the server in a plugin, `testing.Recorder` in tests.
pub const Host = struct {
    ptr: *anyopaque,
    vtable: *const VTable,

    pub const VTable = struct {
        log: *const fn (*anyopaque, Level, []const u8) void,
        record: *const fn (*anyopaque, []const u8, []const u8) HostError!void,
        metric: *const fn (*anyopaque, MetricKind, []const u8, f64) HostError!void,
        now: *const fn (*anyopaque) i64,
        config: *const fn (*anyopaque, std.mem.Allocator, []const u8) HostError!?[]const u8,
        open: *const fn (*anyopaque, []const u8) HostError!u32,
        run: *const fn (*anyopaque, std.mem.Allocator, u32, []const Argument, []const []const u8) HostError![]Remote,
        start: *const fn (*anyopaque, std.mem.Allocator, u32, []const Argument) HostError!u32,
        wait: *const fn (*anyopaque, std.mem.Allocator, u32, []const []const u8, i32) HostError![]Remote,
        wait_any: *const fn (*anyopaque, []const u32, i32) HostError!usize,
        read: *const fn (*anyopaque, Remote, []u8) HostError!void,
        keep: *const fn (*anyopaque, std.mem.Allocator, types.AnyTensor) HostError!Remote,
    };

    /// A configured value: a string's text, or the JSON of anything else.
    pub fn config(h: Host, allocator: std.mem.Allocator, key: []const u8) HostError!?[]const u8 {
        return h.vtable.config(h.ptr, allocator, key);
    }
};

const Remote = types.Remote;

/// One call of a function.
pub const Context = struct {
    /// Memory that lasts as long as the call; nothing need be freed.
    allocator: std.mem.Allocator,
    host: Host,
    /// A number that stands in the server's log too.
    request_id: u64 = 0,
    budget_ns: u64 = 0,
    entered: i64 = 0,
    /// What fail and outcome have said.
    message: []const u8 = "",
    code: u8 = 0,

    /// Ends the call with an error: `return ctx.fail("row {d} is empty", .{i})`.
    pub fn fail(ctx: *Context, comptime format: []const u8, args: anytype) error{Failed} {
        ctx.message = std.fmt.allocPrint(ctx.allocator, format, args) catch "out of memory";
        return error.Failed;
    }

    /// Ends the call with an outcome that the function declares: `return ctx.outcome(1)`.
    pub fn outcome(ctx: *Context, code: u8) error{Outcome} {
        ctx.code = code;
        return error.Outcome;
    }

    /// Writes one line to the server's log. The server limits how much one call may log and drops the rest.
    pub fn log(ctx: *Context, level: Level, text: []const u8) void {
        ctx.host.vtable.log(ctx.host.ptr, level, text);
    }

    /// Appends one JSON document to a stream that people list and aggregate afterwards.
    pub fn record(ctx: *Context, stream: []const u8, doc: []const u8) HostError!void {
        return ctx.host.vtable.record(ctx.host.ptr, stream, doc);
    }

    /// Adds one sample to a metric of the plugin.
    pub fn metric(ctx: *Context, kind: MetricKind, name: []const u8, value: f64) HostError!void {
        return ctx.host.vtable.metric(ctx.host.ptr, kind, name, value);
    }

    /// Nanoseconds that are left for this call, null without a limit. The server stops a call at its deadline in any case;
    /// this is for functions that can do less work.
    pub fn deadlineNs(ctx: *Context) ?u64 {
        if (ctx.budget_ns == 0) return null;
        const used: u64 = @intCast(@max(ctx.host.vtable.now(ctx.host.ptr) - ctx.entered, 0));
        return ctx.budget_ns -| used;
    }

    /// A model by the name under which the graph's node grants it.
    pub fn model(ctx: *Context, name: []const u8) HostError!Model {
        return .{ .ctx = ctx, .number = try ctx.host.vtable.open(ctx.host.ptr, name) };
    }

    /// An input for a model: a Tensor, an AnyTensor or a Remote. An empty name means by position.
    pub fn argument(ctx: *Context, name: []const u8, value: anytype) HostError!Argument {
        return switch (@TypeOf(value)) {
            types.Remote => .{ .name = name, .value = .{ .remote = value } },
            types.AnyTensor => .{ .name = name, .value = .{ .own = value } },
            else => .{ .name = name, .value = .{ .own = try ctx.any(value) } },
        };
    }

    /// A tensor without its element type; strings are written out.
    pub fn any(ctx: *Context, tensor: anytype) HostError!types.AnyTensor {
        const T = @TypeOf(tensor);
        const data = if (T.Element == []const u8)
            try types.encodeStrings(ctx.allocator, tensor.data)
        else
            std.mem.sliceAsBytes(tensor.data);
        return .{ .dtype = T.tandem_port.dtype.?, .shape = tensor.shape, .data = data };
    }

    /// Copies a tensor to the server, so that several model calls share it.
    pub fn keep(ctx: *Context, tensor: types.AnyTensor) HostError!types.Remote {
        return ctx.host.vtable.keep(ctx.host.ptr, ctx.allocator, tensor);
    }

    /// Copies what a model answered from the server; it fails when its elements are not of type T.
    pub fn read(ctx: *Context, comptime T: type, remote: types.Remote) ![]T {
        const dtype = comptime types.dtypeOf(T) orelse @compileError(@typeName(T) ++ " is no element of a tensor");
        const have = remote.dtype orelse return ctx.fail("the model answered JSON, want {s}", .{@tagName(dtype)});
        if (have != dtype) return ctx.fail("the model answered {s}, want {s}", .{ @tagName(have), @tagName(dtype) });
        const data = try ctx.allocator.alloc(T, remote.len / @sizeOf(T));
        try ctx.host.vtable.read(ctx.host.ptr, remote, std.mem.sliceAsBytes(data));
        return data;
    }

    /// Copies the JSON document that a model answered from the server; it fails when the answer is a tensor.
    pub fn readJson(ctx: *Context, remote: types.Remote) !types.Json {
        if (remote.dtype) |have| return ctx.fail("the model answered {s}, want JSON", .{@tagName(have)});
        const text = try ctx.allocator.alloc(u8, remote.len);
        try ctx.host.vtable.read(ctx.host.ptr, remote, text);
        return .{ .text = text };
    }
};

/// One input of a model; made by `Context.argument`.
pub const Argument = struct {
    name: []const u8,
    value: union(enum) { own: types.AnyTensor, remote: types.Remote },
};

/// A model that the graph granted to this node. Its answers stay in the server until they are read.
pub const Model = struct {
    ctx: *Context,
    number: u32,

    /// Runs the model and waits. outputs are the names wanted, in the order of the answer; "" is one by position.
    pub fn run(m: Model, inputs: []const Argument, outputs: []const []const u8) HostError![]types.Remote {
        return m.ctx.host.vtable.run(m.ctx.host.ptr, m.ctx.allocator, m.number, inputs, outputs);
    }

    /// Starts the model and does not wait; own tensors are copied. At most 64 are open at a time.
    pub fn start(m: Model, inputs: []const Argument) HostError!Ticket {
        return .{ .ctx = m.ctx, .number = try m.ctx.host.vtable.start(m.ctx.host.ptr, m.ctx.allocator, m.number, inputs) };
    }
};

/// A model that was started. One that nobody waits for is cancelled when the call ends.
pub const Ticket = struct {
    ctx: *Context,
    number: u32,

    /// Waits for the model, then the ticket is used up. A negative timeout waits as long as the call may; error.Deadline
    /// leaves the ticket good.
    pub fn wait(t: Ticket, outputs: []const []const u8, timeout_ms: i32) HostError![]types.Remote {
        return t.ctx.host.vtable.wait(t.ctx.host.ptr, t.ctx.allocator, t.number, outputs, timeout_ms);
    }
};

/// Waits until one of the tickets is done and returns its index. A negative timeout waits as long as the call may.
pub fn waitAny(tickets: []const Ticket, timeout_ms: i32) HostError!usize {
    if (tickets.len == 0) return error.NotFound;
    const ctx = tickets[0].ctx;
    const numbers = try ctx.allocator.alloc(u32, tickets.len);
    for (numbers, tickets) |*n, t| n.* = t.number;
    return ctx.host.vtable.wait_any(ctx.host.ptr, numbers, timeout_ms);
}
