//! The exports of a module, and the server behind them.

const std = @import("std");
const builtin = @import("builtin");
const abi = @import("abi.zig");
const types = @import("types.zig");
const config = @import("config.zig");
const describe = @import("describe.zig");
const context = @import("context.zig");

const Context = context.Context;
const HostError = context.HostError;
const Value = abi.Value;

/// Makes the root file a plugin; call it once, at compile time. p has a name, and may have version, doc and
/// `stateful = true`; its functions have a name and a function to call, and may have doc and outcomes:
/// `.{ .name = "find", .doc = "looks for text", .call = find, .outcomes = .{ .nothing = 1 } }`. Built natively it checks the
/// declaration and exports nothing.
pub fn plugin(comptime p: anytype) void {
    const text = comptime describe.description(p);
    if (builtin.cpu.arch != .wasm32) return;
    const M = Module(p, text);
    @export(&M.describeExport, .{ .name = "tdm1_describe" });
    @export(&M.allocExport, .{ .name = "tdm1_alloc" });
    @export(&M.initExport, .{ .name = "tdm1_init" });
    @export(&M.runExport, .{ .name = "tdm1_run" });
}

/// Memory of the instance, which stays, and of the call. One call runs at a time, so nothing here is shared.
const kept = std.heap.wasm_allocator;
var call_memory = std.heap.ArenaAllocator.init(kept);

/// Memory that most calls get by with: a call that makes the module grow costs a new instance.
const room = 1 << 20;

fn makeRoom() void {
    _ = call_memory.allocator().alloc(u8, room) catch return;
    _ = call_memory.reset(.retain_capacity);
}

fn Module(comptime p: anytype, comptime text: []const u8) type {
    return struct {
        /// The decoded configuration of every function, or why there is none.
        var with: Withs = undefined;
        var faults = [_][]const u8{""} ** p.functions.len;

        const Withs = blk: {
            var list: [p.functions.len]type = undefined;
            for (p.functions, &list) |f, *t| t.* = describe.Signature(@TypeOf(f.call)).With;
            break :blk std.meta.Tuple(&list);
        };

        fn describeExport() callconv(.c) u64 {
            return @as(u64, @intFromPtr(text.ptr)) << 32 | text.len;
        }

        /// The first export that an instance for calls sees: it is the plugin's start too.
        fn allocExport(size: u32, alignment: u32) callconv(.c) u32 {
            configure();
            if (alignment > 4096 or size == 0) return 0;
            const arena = kept.alignedAlloc(u8, 4096, size) catch return 0;
            @memset(arena, 0);
            makeRoom();
            return @intFromPtr(arena.ptr);
        }

        fn initExport(_: u32, _: u32) callconv(.c) i32 {
            configure();
            return 0;
        }

        /// A node configures one function: what does not fit another one is an error when that is called.
        fn configure() void {
            inline for (p.functions, 0..) |f, i| {
                var fault: []const u8 = "";
                if (config.decode(describe.Signature(@TypeOf(f.call)).With, server, kept, &fault)) |w| {
                    with[i] = w;
                    faults[i] = "";
                } else |_| faults[i] = fault;
            }
        }

        fn runExport(address: u32) callconv(.c) i32 {
            const r: *abi.Request = @ptrFromInt(address);
            _ = call_memory.reset(.retain_capacity);
            var ctx = Context{
                .allocator = call_memory.allocator(),
                .host = server,
                .request_id = r.request_id,
                .budget_ns = r.deadline_ns,
                .entered = if (r.deadline_ns > 0) tdm.now_ns() else 0,
            };
            serve(&ctx, r) catch |e| {
                if (e == error.Outcome) return ctx.code;
                return writeError(r, if (e == error.Failed) ctx.message else context.errorText(e));
            };
            r.num_out = r.out_cap;
            return 0;
        }

        fn serve(ctx: *Context, r: *const abi.Request) anyerror!void {
            if (r.magic != abi.magic or r.major != 1) return ctx.fail("not a request of ABI version 1", .{});
            inline for (p.functions, 0..) |f, i| {
                if (r.op == i) {
                    if (faults[i].len > 0) return ctx.fail("configuration: {s} is missing or wrong", .{faults[i]});
                    return invoke(ctx, r, f.call, with[i]);
                }
            }
            return ctx.fail("no such function", .{});
        }
    };
}

fn writeError(r: *abi.Request, text: []const u8) i32 {
    var n = @min(text.len, r.err_cap);
    while (n > 0 and n < text.len and text[n] & 0xc0 == 0x80) n -= 1; // between two characters
    if (n > 0) @memcpy(@as([*]u8, @ptrFromInt(r.err_ptr))[0..n], text[0..n]);
    r.err_len = n;
    return -1;
}

fn invoke(ctx: *Context, r: *const abi.Request, comptime f: anytype, with: anytype) anyerror!void {
    const S = describe.Signature(@TypeOf(f));
    var in: S.In = undefined;
    const inputs: [*]const Value = @ptrFromInt(r.in_ptr);
    if (S.In != void) inline for (@typeInfo(S.In).@"struct".fields, 0..) |field, i| {
        @field(in, field.name) = load(ctx, field.type, &inputs[i]) catch |e| return place(ctx, "input", field.name, e);
    };
    const result = if (S.configured) f(ctx, in, with) else f(ctx, in);
    const out = if (@typeInfo(@TypeOf(result)) == .error_union) try result else result;
    const outputs: [*]Value = @ptrFromInt(r.out_ptr);
    if (S.Out != void) inline for (@typeInfo(S.Out).@"struct".fields, 0..) |field, i| {
        store(ctx, field.type, @field(out, field.name), &outputs[i]) catch |e| return place(ctx, "output", field.name, e);
    };
}

fn place(ctx: *Context, what: []const u8, name: []const u8, e: anyerror) error{Failed} {
    const text = if (e == error.Failed) ctx.message else context.errorText(e);
    return ctx.fail("{s} {s}: {s}", .{ what, name, text });
}

fn load(ctx: *Context, comptime T: type, v: *const Value) anyerror!T {
    if (T == []const u8) return v.bytes();
    if (comptime types.dtypeOf(T)) |_| return types.view(T, v.bytes()).?[0];
    switch (@typeInfo(T)) {
        .optional => |o| return if (v.flags & abi.absent != 0) null else try load(ctx, o.child, v),
        .pointer => |p| {
            const items = try ctx.allocator.alloc(p.child, v.items);
            for (items, v.list()) |*item, *from| item.* = try load(ctx, p.child, from);
            return items;
        },
        else => {},
    }
    if (T == types.AnyTensor) return .{ .dtype = types.DType.of(v.dtype).?, .shape = v.shape(), .data = v.bytes() };
    if (T == types.Json) return .{ .text = v.bytes() };
    if (T == types.Bytes or T == types.Image) return .{ .data = v.bytes() };
    if (T == types.Remote) @compileError("inputs come by their data: use AnyTensor");
    if (T.Element == []const u8) {
        const strings = try types.decodeStrings(ctx.allocator, v.shape(), v.bytes());
        return .{ .shape = v.shape(), .data = strings orelse return ctx.fail("a BYTES tensor whose offsets are broken", .{}) };
    }
    return .{ .shape = v.shape(), .data = types.view(T.Element, v.bytes()).? }; // the server aligns to 64
}

fn store(ctx: *Context, comptime T: type, x: T, v: *Value) anyerror!void {
    if (T == []const u8) return v.set(.text, x);
    if (comptime types.dtypeOf(T)) |d| {
        const at = try ctx.allocator.create(T);
        at.* = x;
        v.set(.tensor, std.mem.asBytes(at));
        return v.setShape(@intFromEnum(d), &.{});
    }
    switch (@typeInfo(T)) {
        .optional => |o| {
            if (x) |some| return store(ctx, o.child, some, v);
            v.set(.none, "");
            v.flags = abi.absent;
            return;
        },
        .pointer => |p| {
            const items = try ctx.allocator.alloc(Value, x.len);
            for (items, x) |*item, from| {
                item.* = .{};
                try store(ctx, p.child, from, item);
            }
            v.set(.list, std.mem.sliceAsBytes(items));
            v.items = @intCast(items.len);
            return;
        },
        else => {},
    }
    switch (T) {
        types.Json => v.set(.json, x.text),
        types.Bytes => v.set(.bytes, x.data),
        types.Image => v.set(.image, x.data),
        types.AnyTensor => try storeTensor(ctx, x, v),
        types.Remote => {
            const dtype = x.dtype orelse return ctx.fail("a model's JSON cannot be handed on as a tensor: read it", .{});
            v.set(.tensor, "");
            v.setShape(@intFromEnum(dtype), x.shape);
            v.flags = abi.host_side;
            v.handle = x.handle;
        },
        else => {
            try checkShape(ctx, x.shape, x.data.len);
            try storeTensor(ctx, try ctx.any(x), v);
        },
    }
}

fn storeTensor(ctx: *Context, t: types.AnyTensor, v: *Value) !void {
    const size = t.dtype.size();
    if (size > 0) try checkShape(ctx, t.shape, t.data.len / size) else if (t.shape.len > abi.max_rank) return error.BadValue;
    var data = t.data;
    if (@intFromPtr(data.ptr) % @max(size, 4) != 0) {
        const moved = try ctx.allocator.alignedAlloc(u8, 8, data.len);
        @memcpy(moved, data);
        data = moved;
    }
    v.set(.tensor, data);
    v.setShape(@intFromEnum(t.dtype), t.shape);
}

fn checkShape(ctx: *Context, shape: []const i64, have: usize) !void {
    if (shape.len > abi.max_rank or types.elements(shape) != have) {
        return ctx.fail("shape {any} does not fit {d} elements", .{ shape, have });
    }
}

/// The imports of ABI version 1.
const tdm = struct {
    extern "tdm1" fn log(level: i32, text: [*]const u8, len: usize) void;
    extern "tdm1" fn record(stream: [*]const u8, stream_len: usize, doc: [*]const u8, len: usize) i32;
    extern "tdm1" fn metric(kind: i32, name: [*]const u8, len: usize, value: f64) i32;
    extern "tdm1" fn now_ns() i64;
    extern "tdm1" fn config_get(key: [*]const u8, len: usize, buffer: ?[*]u8, capacity: usize) i32;
    extern "tdm1" fn model_open(name: [*]const u8, len: usize) i32;
    extern "tdm1" fn model_run(model: u32, inputs: [*]const Value, num_in: usize, outputs: [*]Value, num_out: usize) i32;
    extern "tdm1" fn model_start(model: u32, inputs: [*]const Value, num_in: usize) i32;
    extern "tdm1" fn model_wait(ticket: u32, outputs: [*]Value, num_out: usize, timeout_ms: i32) i32;
    extern "tdm1" fn wait_any(tickets: [*]const u32, n: usize, timeout_ms: i32) i32;
    extern "tdm1" fn val_read(handle: u32, offset: i64, to: [*]u8, len: usize) i32;
    extern "tdm1" fn val_make(value: *const Value) i32;
};

fn answer(code: i32) HostError!u32 {
    return switch (code) {
        -1 => error.NotFound,
        -3 => error.TooLarge,
        -4 => error.Quota,
        -5 => error.Deadline,
        -6 => error.Denied,
        -7 => error.Busy,
        -8 => error.Model,
        else => if (code < 0) error.BadValue else @intCast(code),
    };
}

var nothing: u8 = 0;

/// The server, as functions see it.
const server = context.Host{ .ptr = &nothing, .vtable = &.{
    .log = Server.log,
    .record = Server.record,
    .metric = Server.metric,
    .now = Server.now,
    .config = Server.config,
    .open = Server.open,
    .run = Server.run,
    .start = Server.start,
    .wait = Server.wait,
    .wait_any = Server.waitAny,
    .read = Server.read,
    .keep = Server.keep,
} };

const Server = struct {
    fn log(_: *anyopaque, level: context.Level, text: []const u8) void {
        tdm.log(@intFromEnum(level), text.ptr, text.len);
    }
    fn record(_: *anyopaque, stream: []const u8, doc: []const u8) HostError!void {
        _ = try answer(tdm.record(stream.ptr, stream.len, doc.ptr, doc.len));
    }
    fn metric(_: *anyopaque, kind: context.MetricKind, name: []const u8, value: f64) HostError!void {
        _ = try answer(tdm.metric(@intFromEnum(kind), name.ptr, name.len, value));
    }
    fn now(_: *anyopaque) i64 {
        return tdm.now_ns();
    }
    fn config(_: *anyopaque, allocator: std.mem.Allocator, key: []const u8) HostError!?[]const u8 {
        const len = tdm.config_get(key.ptr, key.len, null, 0);
        if (len < 0) return null;
        const text = try allocator.alloc(u8, @intCast(len));
        _ = try answer(tdm.config_get(key.ptr, key.len, text.ptr, text.len));
        return text;
    }
    fn open(_: *anyopaque, name: []const u8) HostError!u32 {
        return answer(tdm.model_open(name.ptr, name.len));
    }
    fn run(_: *anyopaque, a: std.mem.Allocator, model: u32, inputs: []const context.Argument, outputs: []const []const u8) HostError![]types.Remote {
        const in = try describeInputs(a, inputs);
        const out = try describeOutputs(a, outputs);
        _ = try answer(tdm.model_run(model, in.ptr, in.len, out.ptr, out.len));
        return remotes(a, out);
    }
    fn start(_: *anyopaque, a: std.mem.Allocator, model: u32, inputs: []const context.Argument) HostError!u32 {
        const in = try describeInputs(a, inputs);
        return answer(tdm.model_start(model, in.ptr, in.len));
    }
    fn wait(_: *anyopaque, a: std.mem.Allocator, ticket: u32, outputs: []const []const u8, timeout_ms: i32) HostError![]types.Remote {
        const out = try describeOutputs(a, outputs);
        _ = try answer(tdm.model_wait(ticket, out.ptr, out.len, timeout_ms));
        return remotes(a, out);
    }
    fn waitAny(_: *anyopaque, tickets: []const u32, timeout_ms: i32) HostError!usize {
        return try answer(tdm.wait_any(tickets.ptr, tickets.len, timeout_ms));
    }
    fn read(_: *anyopaque, remote: types.Remote, to: []u8) HostError!void {
        if (try answer(tdm.val_read(remote.handle, 0, to.ptr, to.len)) != to.len) return error.BadValue;
    }
    fn keep(_: *anyopaque, _: std.mem.Allocator, t: types.AnyTensor) HostError!types.Remote {
        const v = try describeTensor(t);
        return .{ .dtype = t.dtype, .shape = t.shape, .handle = try answer(tdm.val_make(&v)), .len = t.data.len };
    }
};

fn describeTensor(t: types.AnyTensor) HostError!Value {
    if (t.shape.len > abi.max_rank) return error.BadValue;
    var v = Value{};
    v.set(.tensor, t.data);
    v.setShape(@intFromEnum(t.dtype), t.shape);
    return v;
}

fn describeInputs(a: std.mem.Allocator, inputs: []const context.Argument) HostError![]Value {
    const values = try a.alloc(Value, inputs.len);
    for (values, inputs) |*v, in| {
        switch (in.value) {
            .own => |t| v.* = try describeTensor(t),
            .remote => |r| {
                const kind: abi.Kind = if (r.dtype == null) .json else .tensor;
                v.* = .{ .kind = @intFromEnum(kind), .flags = abi.host_side, .handle = r.handle };
                v.setShape(if (r.dtype) |d| @intFromEnum(d) else 0, r.shape);
            },
        }
        v.name_ptr = @intFromPtr(in.name.ptr);
        v.name_len = in.name.len;
    }
    return values;
}

fn describeOutputs(a: std.mem.Allocator, names: []const []const u8) HostError![]Value {
    const values = try a.alloc(Value, names.len);
    for (values, names) |*v, name| v.* = .{ .name_ptr = @intFromPtr(name.ptr), .name_len = name.len };
    return values;
}

fn remotes(a: std.mem.Allocator, values: []const Value) HostError![]types.Remote {
    const out = try a.alloc(types.Remote, values.len);
    for (out, values) |*r, *v| {
        const is_json = v.kind == @intFromEnum(abi.Kind.json);
        const dtype = types.DType.of(v.dtype) orelse if (is_json) null else return error.BadValue;
        r.* = .{ .dtype = dtype, .shape = v.shape(), .handle = v.handle, .len = @intCast(v.data_len) };
    }
    return out;
}
