//! A node's configuration: the fields of a struct, with a JSON Schema made from them.

const std = @import("std");
const describe = @import("describe.zig");
const Host = @import("context.zig").Host;

/// The schema of a struct. A field with a default is not required; a default of null stands in no schema. Rules stand in
/// the struct: `pub const rules = .{ .field = .{ .min = 0, .max = 9, .one_of = .{ "a", "b" } } }`, what fields are in `docs`.
pub fn schema(comptime T: type) []const u8 {
    comptime var text: []const u8 = "{\"type\":\"object\",\"properties\":{";
    comptime var required: []const u8 = "";
    inline for (@typeInfo(T).@"struct".fields, 0..) |f, i| {
        text = text ++ (if (i > 0) "," else "") ++ describe.quote(f.name) ++ ":{" ++ typeOf(f.type) ++ rulesOf(T, f.name);
        if (defaultOf(f)) |d| {
            const json = jsonOf(d);
            if (!std.mem.eql(u8, json, "null")) text = text ++ ",\"default\":" ++ json;
        } else {
            required = required ++ (if (required.len > 0) "," else "") ++ describe.quote(f.name);
        }
        if (describe.docOf(T, f.name)) |doc| text = text ++ ",\"description\":" ++ describe.quote(doc);
        text = text ++ "}";
    }
    text = text ++ "}";
    if (required.len > 0) text = text ++ ",\"required\":[" ++ required ++ "]";
    return text ++ ",\"additionalProperties\":false}";
}

/// The default of a field; the name that Zig gives it changed between versions.
fn defaultOf(comptime f: std.builtin.Type.StructField) ?f.type {
    const p = if (@hasField(std.builtin.Type.StructField, "default_value_ptr")) f.default_value_ptr else f.default_value;
    return if (p) |at| @as(*const f.type, @ptrCast(@alignCast(at))).* else null;
}

fn typeOf(comptime T: type) []const u8 {
    if (T == []const u8) return "\"type\":\"string\"";
    return switch (@typeInfo(T)) {
        .bool => "\"type\":\"boolean\"",
        .float => "\"type\":\"number\"",
        .int => "\"type\":\"integer\"",
        .optional => |o| typeOf(o.child),
        .pointer => |p| "\"type\":\"array\",\"items\":{" ++ typeOf(p.child) ++ "}",
        else => @compileError(@typeName(T) ++ " is no type for a configuration"),
    };
}

fn jsonOf(comptime v: anytype) []const u8 {
    const T = @TypeOf(v);
    if (T == []const u8) return describe.quote(v);
    return switch (@typeInfo(T)) {
        .optional => if (v) |some| jsonOf(some) else "null",
        .pointer => blk: {
            comptime var text: []const u8 = "[";
            inline for (v, 0..) |item, i| text = text ++ (if (i > 0) "," else "") ++ jsonOf(item);
            break :blk text ++ "]";
        },
        .bool => if (v) "true" else "false",
        else => std.fmt.comptimePrint("{d}", .{v}),
    };
}

fn rulesOf(comptime T: type, comptime name: []const u8) []const u8 {
    if (!@hasDecl(T, "rules") or !@hasField(@TypeOf(T.rules), name)) return "";
    comptime var text: []const u8 = "";
    const rules = @field(T.rules, name);
    inline for (@typeInfo(@TypeOf(rules)).@"struct".fields) |r| {
        const value = @field(rules, r.name);
        if (std.mem.eql(u8, r.name, "min")) {
            text = text ++ std.fmt.comptimePrint(",\"minimum\":{d}", .{value});
        } else if (std.mem.eql(u8, r.name, "max")) {
            text = text ++ std.fmt.comptimePrint(",\"maximum\":{d}", .{value});
        } else if (std.mem.eql(u8, r.name, "one_of")) {
            text = text ++ ",\"enum\":[";
            inline for (value, 0..) |v, i| text = text ++ (if (i > 0) "," else "") ++ describe.quote(v);
            text = text ++ "]";
        } else @compileError("a rule is min, max or one_of, not " ++ r.name);
    }
    return text;
}

/// Reads the node's values. It fails with the name of a field in *fault.
pub fn decode(comptime T: type, host: Host, allocator: std.mem.Allocator, fault: *[]const u8) !T {
    var with: T = undefined;
    inline for (@typeInfo(T).@"struct".fields) |f| {
        fault.* = f.name;
        if (try host.config(allocator, f.name)) |text| {
            @field(with, f.name) = try parse(f.type, allocator, text);
        } else if (comptime defaultOf(f)) |d| {
            @field(with, f.name) = d;
        } else return error.Missing;
    }
    return with;
}

/// Reads a string's text, or the JSON of anything else.
fn parse(comptime T: type, allocator: std.mem.Allocator, text: []const u8) !T {
    if (T == []const u8) return text;
    if (@typeInfo(T) == .optional and @typeInfo(T).optional.child == []const u8) return text;
    return std.json.parseFromSliceLeaky(T, allocator, text, .{ .allocate = .alloc_always });
}

test "a schema follows from the fields" {
    const With = struct {
        marks: u32 = 1,
        mode: []const u8,
        limit: ?f64 = null,
        words: []const []const u8 = &.{"a"},
        pub const rules = .{ .marks = .{ .min = 0, .max = 9 }, .mode = .{ .one_of = .{ "fast", "exact" } } };
        pub const docs = .{ .marks = "how many" };
    };
    try std.testing.expectEqualStrings("{\"type\":\"object\",\"properties\":{" ++
        "\"marks\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":9,\"default\":1,\"description\":\"how many\"}," ++
        "\"mode\":{\"type\":\"string\",\"enum\":[\"fast\",\"exact\"]},\"limit\":{\"type\":\"number\"}," ++
        "\"words\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"default\":[\"a\"]}}," ++
        "\"required\":[\"mode\"],\"additionalProperties\":false}", comptime schema(With));
}

test "values are read" {
    var arena = std.heap.ArenaAllocator.init(std.testing.allocator);
    defer arena.deinit();
    const a = arena.allocator();
    try std.testing.expectEqual(@as(f32, -2.5), try parse(f32, a, "-2.5"));
    try std.testing.expectEqual(@as(?bool, true), try parse(?bool, a, "true"));
    const words = try parse([]const []const u8, a, "[\"x\", \"\\u00e9\"]");
    try std.testing.expectEqualStrings("é", words[1]);
    try std.testing.expectEqualStrings("plain", (try parse(?[]const u8, a, "plain")).?);
    if (parse(u32, a, "x")) |_| return error.TestUnexpectedResult else |_| {}
}
