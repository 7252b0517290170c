//! What may cross the border: the types of ports.

const std = @import("std");
const abi = @import("abi.zig");

/// The element type of a tensor, numbered as in ONNX and named as in the Open Inference Protocol.
pub const DType = enum(u8) {
    FP32 = 1,
    UINT8 = 2,
    INT8 = 3,
    UINT16 = 4,
    INT16 = 5,
    INT32 = 6,
    INT64 = 7,
    BYTES = 8,
    BOOL = 9,
    FP16 = 10,
    FP64 = 11,
    UINT32 = 12,
    UINT64 = 13,
    BF16 = 16,

    /// Bytes of one element; 0 for BYTES, whose elements vary.
    pub fn size(d: DType) usize {
        return switch (d) {
            .BYTES => 0,
            .UINT8, .INT8, .BOOL => 1,
            .UINT16, .INT16, .FP16, .BF16 => 2,
            .FP32, .INT32, .UINT32 => 4,
            .FP64, .INT64, .UINT64 => 8,
        };
    }

    /// The type with a number, if there is one.
    pub fn of(number: u8) ?DType {
        return switch (number) {
            1...13, 16 => @enumFromInt(number),
            else => null,
        };
    }
};

/// A bfloat16 number by its bits: the upper half of an f32.
pub const Bf16 = packed struct {
    bits: u16,

    pub fn toF32(b: Bf16) f32 {
        return @bitCast(@as(u32, b.bits) << 16);
    }

    /// Rounds to the nearest, ties to even.
    pub fn fromF32(v: f32) Bf16 {
        const bits: u64 = @as(u32, @bitCast(v));
        if (std.math.isNan(v)) return .{ .bits = @truncate(bits >> 16 | 0x40) };
        return .{ .bits = @truncate((bits + 0x7fff + (bits >> 16 & 1)) >> 16) };
    }
};

/// The element type that a Zig type stands for; null for what is no element. A string is an element of BYTES.
pub fn dtypeOf(comptime T: type) ?DType {
    return switch (T) {
        f32 => .FP32,
        u8 => .UINT8,
        i8 => .INT8,
        u16 => .UINT16,
        i16 => .INT16,
        i32 => .INT32,
        i64 => .INT64,
        bool => .BOOL,
        f16 => .FP16,
        f64 => .FP64,
        u32 => .UINT32,
        u64 => .UINT64,
        Bf16 => .BF16,
        []const u8 => .BYTES,
        else => null,
    };
}

/// How a port is described.
pub const Spec = struct {
    kind: abi.Kind,
    dtype: ?DType = null,
    /// JSON, without its brackets; null for any shape.
    shape: ?[]const u8 = null,
    optional: bool = false,
    list: bool = false,
};

/// An array of T in row-major order. dims has one entry a dimension: a number, a name (equal wherever it stands in the
/// function) or null (any); `.{}` is a scalar and null instead of all takes every shape. As an input it is a view of memory
/// that the server filled.
pub fn Tensor(comptime T: type, comptime dims: anytype) type {
    const dtype = dtypeOf(T) orelse @compileError(@typeName(T) ++ " is no element of a tensor");
    return struct {
        /// The dimensions; their product is data.len.
        shape: []const i64,
        data: []const T,

        pub const tandem_port = Spec{ .kind = .tensor, .dtype = dtype, .shape = shapeText(dims) };
        pub const Element = T;
    };
}

fn shapeText(comptime dims: anytype) ?[]const u8 {
    if (@TypeOf(dims) == @TypeOf(null)) return null;
    comptime var text: []const u8 = "";
    inline for (dims, 0..) |d, i| {
        if (i > 0) text = text ++ ",";
        text = text ++ switch (@typeInfo(@TypeOf(d))) {
            .null => "\"?\"",
            .comptime_int => std.fmt.comptimePrint("{d}", .{d}),
            else => "\"" ++ d ++ "\"",
        };
    }
    return text;
}

/// A tensor whose element type is known only when the function runs. data is little-endian; for BYTES it is u32
/// offsets[n+1], then the bytes of all elements.
pub const AnyTensor = struct {
    dtype: DType,
    shape: []const i64,
    data: []const u8,

    pub const tandem_port = Spec{ .kind = .tensor };

    /// The elements, null when they are of another type or not aligned.
    pub fn as(t: AnyTensor, comptime T: type) ?[]const T {
        if (dtypeOf(T) != t.dtype or T == []const u8) return null;
        return view(T, t.data);
    }

    /// The elements of a BYTES tensor, null when it is another one or broken.
    pub fn strings(t: AnyTensor, allocator: std.mem.Allocator) !?[]const []const u8 {
        if (t.dtype != .BYTES) return null;
        return decodeStrings(allocator, t.shape, t.data);
    }
};

/// Bytes as elements; null when they do not start where such elements may.
pub fn view(comptime T: type, data: []const u8) ?[]const T {
    if (data.len == 0) return &.{};
    if (@intFromPtr(data.ptr) % @alignOf(T) != 0) return null;
    const first: [*]const T = @ptrCast(@alignCast(data.ptr));
    return first[0 .. data.len / @sizeOf(T)];
}

/// What a model answered and what stays in the server until it is read: a tensor, or a JSON document where the model's
/// output is a sequence or a map. As an output or as a model's input a tensor is handed on without a copy. The server
/// forgets it at the end of the call.
pub const Remote = struct {
    /// Null of a JSON document.
    dtype: ?DType,
    shape: []const i64,
    handle: u32 = 0,
    /// Bytes.
    len: usize,
    /// Its data in tests, where no server keeps it.
    local: []const u8 = "",

    pub const tandem_port = Spec{ .kind = .tensor };
};

/// Bytes of any kind.
pub const Bytes = struct {
    data: []const u8,
    pub const tandem_port = Spec{ .kind = .bytes };
};

/// One JSON document.
pub const Json = struct {
    text: []const u8,
    pub const tandem_port = Spec{ .kind = .json };
};

/// An encoded image. A Tensor(u8, .{ "h", "w", 3 }) receives images decoded.
pub const Image = struct {
    data: []const u8,
    pub const tandem_port = Spec{ .kind = .image };
};

/// How a field of type T is described.
pub fn specOf(comptime T: type) Spec {
    if (T == []const u8) return .{ .kind = .text };
    if (dtypeOf(T)) |d| return .{ .kind = .tensor, .dtype = d, .shape = "" };
    switch (@typeInfo(T)) {
        .optional => |o| {
            comptime var spec = specOf(o.child);
            spec.optional = true;
            return spec;
        },
        .pointer => |p| if (isSlice(p)) {
            comptime var spec = specOf(p.child);
            if (spec.list or spec.optional) @compileError(@typeName(T) ++ " is no type for a port");
            spec.list = true;
            return spec;
        },
        .@"struct" => if (@hasDecl(T, "tandem_port")) return T.tandem_port,
        else => {},
    }
    @compileError(@typeName(T) ++ " is no type for a port");
}

/// The name of the size of a slice changed between versions of Zig.
fn isSlice(comptime p: std.builtin.Type.Pointer) bool {
    const Size = std.builtin.Type.Pointer.Size;
    return p.size == if (@hasField(Size, "slice")) Size.slice else Size.Slice;
}

/// The product of a shape, null when it is negative or beyond what memory can hold.
pub fn elements(shape: []const i64) ?usize {
    var n: usize = 1;
    for (shape) |d| {
        const dim = std.math.cast(u31, d) orelse return null;
        n = std.math.mul(usize, n, dim) catch return null;
    }
    return n;
}

pub fn decodeStrings(allocator: std.mem.Allocator, shape: []const i64, data: []const u8) !?[]const []const u8 {
    const n = elements(shape) orelse return null;
    if (n == 0 and data.len == 0) return &.{};
    if (data.len / 4 < n + 1) return null;
    const text = data[4 * (n + 1) ..];
    const out = try allocator.alloc([]const u8, n);
    var start: usize = std.mem.readInt(u32, data[0..4], .little);
    if (start != 0) return null;
    for (out, 1..) |*s, i| {
        const end: usize = std.mem.readInt(u32, data[4 * i ..][0..4], .little);
        if (end < start or end > text.len) return null;
        s.* = text[start..end];
        start = end;
    }
    return if (start == text.len) out else null;
}

pub fn encodeStrings(allocator: std.mem.Allocator, strings: []const []const u8) ![]const u8 {
    var total: usize = 4 * (strings.len + 1);
    for (strings) |s| total += s.len;
    const words = try allocator.alloc(u32, (total + 3) / 4); // so that the offsets are aligned
    const out = std.mem.sliceAsBytes(words)[0..total];
    var at: usize = 4 * (strings.len + 1);
    const first = at;
    words[0] = 0;
    for (strings, 1..) |s, i| {
        @memcpy(out[at..][0..s.len], s);
        at += s.len;
        words[i] = @intCast(at - first);
    }
    return out;
}

test "strings survive" {
    var arena = std.heap.ArenaAllocator.init(std.testing.allocator);
    defer arena.deinit();
    const a = arena.allocator();
    const words = [_][]const u8{ "a", "", "grüße" };
    for (0..words.len + 1) |n| {
        const shape = [_]i64{@intCast(n)};
        const data = try encodeStrings(a, words[0..n]);
        const got = (try decodeStrings(a, &shape, data)).?;
        try std.testing.expectEqual(n, got.len);
        for (got, words[0..n]) |g, w| try std.testing.expectEqualStrings(w, g);
        try std.testing.expectEqual(null, try decodeStrings(a, &shape, data[0 .. data.len - 1]));
    }
}

test "bfloat16 rounds to even" {
    for (0..0x10000) |bits| {
        const b = Bf16{ .bits = @intCast(bits) };
        if (!std.math.isNan(b.toF32())) try std.testing.expectEqual(b, Bf16.fromF32(b.toF32()));
    }
    try std.testing.expectEqual(@as(f32, 1), Bf16.fromF32(1 + 1.0 / 256.0).toF32());
}
