//! Writes a plugin's description at compile time, from the types of its functions.

const std = @import("std");
const types = @import("types.zig");
const config = @import("config.zig");

/// The description of a plugin as JSON text; p is what `plugin` takes.
pub fn description(comptime p: anytype) []const u8 {
    @setEvalBranchQuota(1_000_000);
    comptime var text: []const u8 = "{\"name\":" ++ quote(p.name);
    inline for (.{ "version", "doc" }) |member| {
        if (@hasField(@TypeOf(p), member)) text = text ++ ",\"" ++ member ++ "\":" ++ quote(@field(p, member));
    }
    if (@hasField(@TypeOf(p), "stateful")) text = text ++ std.fmt.comptimePrint(",\"stateful\":{}", .{p.stateful});
    text = text ++ ",\"functions\":[";
    inline for (p.functions, 0..) |f, i| text = text ++ (if (i > 0) "," else "") ++ function(f);
    return text ++ "]}";
}

/// The types of a function: `fn (ctx, In, With) !Out`, or without With when there is nothing to configure.
pub fn Signature(comptime F: type) type {
    const info = @typeInfo(F).@"fn";
    const params = info.params;
    if (params.len != 2 and params.len != 3) @compileError("a plugin's function is fn (ctx, in) !Out or fn (ctx, in, with) !Out");
    const result = info.return_type.?;
    return struct {
        pub const In = params[1].type.?;
        pub const With = if (params.len == 3) params[2].type.? else struct {};
        pub const configured = params.len == 3;
        pub const Out = switch (@typeInfo(result)) {
            .error_union => |e| e.payload,
            else => result,
        };
    };
}

fn function(comptime f: anytype) []const u8 {
    const S = Signature(@TypeOf(f.call));
    comptime var text: []const u8 = "{\"name\":" ++ quote(f.name);
    if (@hasField(@TypeOf(f), "doc")) text = text ++ ",\"doc\":" ++ quote(f.doc);
    text = text ++ ",\"inputs\":" ++ ports(S.In) ++ ",\"outputs\":" ++ ports(S.Out);
    if (S.configured) text = text ++ ",\"with\":" ++ config.schema(S.With);
    if (@hasField(@TypeOf(f), "outcomes")) {
        text = text ++ ",\"outcomes\":{";
        inline for (@typeInfo(@TypeOf(f.outcomes)).@"struct".fields, 0..) |o, i| {
            text = text ++ (if (i > 0) "," else "") ++ quote(o.name) ++ std.fmt.comptimePrint(":{d}", .{@field(f.outcomes, o.name)});
        }
        text = text ++ "}";
    }
    return text ++ "}";
}

/// Ports are the fields of a struct; `pub const docs = .{ .field = "..." }` inside it says what they are.
fn ports(comptime T: type) []const u8 {
    if (T == void) return "[]";
    comptime var text: []const u8 = "[";
    inline for (@typeInfo(T).@"struct".fields, 0..) |f, i| {
        const spec = types.specOf(f.type);
        text = text ++ (if (i > 0) "," else "") ++ "{\"name\":" ++ quote(f.name) ++ ",\"kind\":\"" ++ @tagName(spec.kind) ++ "\"";
        if (spec.dtype) |d| text = text ++ ",\"dtype\":\"" ++ @tagName(d) ++ "\"";
        if (spec.shape) |s| text = text ++ ",\"shape\":[" ++ s ++ "]";
        if (docOf(T, f.name)) |doc| text = text ++ ",\"doc\":" ++ quote(doc);
        if (spec.optional) text = text ++ ",\"optional\":true";
        if (spec.list) text = text ++ ",\"list\":true";
        text = text ++ "}";
    }
    return text ++ "]";
}

/// What `docs` says about a field.
pub fn docOf(comptime T: type, comptime name: []const u8) ?[]const u8 {
    if (!@hasDecl(T, "docs")) return null;
    return if (@hasField(@TypeOf(T.docs), name)) @field(T.docs, name) else null;
}

/// A JSON string.
pub fn quote(comptime s: []const u8) []const u8 {
    comptime var out: []const u8 = "\"";
    inline for (s) |c| {
        out = out ++ switch (c) {
            '"', '\\' => "\\" ++ [1]u8{c},
            0...0x1f => std.fmt.comptimePrint("\\u{x:0>4}", .{c}),
            else => &[1]u8{c},
        };
    }
    return out ++ "\"";
}

test "a description follows from the types" {
    const f = struct {
        const In = struct {
            x: types.Tensor(f32, .{ "n", null, 3 }),
            t: ?[]const []const u8,
            pub const docs = .{ .x = "a \"x\"" };
        };
        fn call(_: *anyopaque, in: In) !struct { n: i64 } {
            return .{ .n = @intCast(in.x.data.len) };
        }
    }.call;
    try std.testing.expectEqualStrings(
        \\{"name":"p","functions":[{"name":"f","inputs":[{"name":"x","kind":"tensor","dtype":"FP32","shape":["n","?",3],"doc":"a \"x\""},
    ++
        \\{"name":"t","kind":"text","optional":true,"list":true}],"outputs":[{"name":"n","kind":"tensor","dtype":"INT64","shape":[]}],"outcomes":{"none":1}}]}
    , comptime description(.{ .name = "p", .functions = .{.{ .name = "f", .call = f, .outcomes = .{ .none = 1 } }} }));
}
