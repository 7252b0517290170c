//! The smallest useful plugin: it repeats a text in capitals.

const std = @import("std");
const tandem = @import("tandem");

const In = struct {
    text: []const u8,
    pub const docs = .{ .text = "what to say" };
};

const With = struct {
    marks: u32 = 1,
    pub const rules = .{ .marks = .{ .min = 0, .max = 9 } };
    pub const docs = .{ .marks = "exclamation marks to add" };
};

const Out = struct {
    text: []const u8,
    length: i64,
    pub const docs = .{ .length = "bytes of the text" };
};

/// Says it louder. Nothing to say is an error.
fn shout(ctx: *tandem.Context, in: In, with: With) !Out {
    if (in.text.len == 0) return ctx.fail("nothing to say", .{});
    ctx.log(.debug, "shouting");
    const text = try ctx.allocator.alloc(u8, in.text.len + with.marks);
    _ = std.ascii.upperString(text, in.text);
    @memset(text[in.text.len..], '!');
    return .{ .text = text, .length = @intCast(text.len) };
}

comptime {
    tandem.plugin(.{ .name = "shout", .version = "0.1.0", .doc = "Says it louder.", .functions = .{
        .{ .name = "shout", .doc = "repeats a text in capitals", .call = shout },
    } });
}

test "it shouts" {
    var server = tandem.testing.Recorder.init(std.testing.allocator);
    defer server.deinit();
    var ctx = server.context();
    const out = try shout(&ctx, .{ .text = "hello" }, .{ .marks = 2 });
    try std.testing.expectEqualStrings("HELLO!!", out.text);
    try std.testing.expectEqual(@as(usize, 1), server.lines.len);
}

test "nothing to say is an error" {
    var server = tandem.testing.Recorder.init(std.testing.allocator);
    defer server.deinit();
    var ctx = server.context();
    try std.testing.expectError(error.Failed, shout(&ctx, .{ .text = "" }, .{}));
    try std.testing.expectEqualStrings("nothing to say", ctx.message);
}
