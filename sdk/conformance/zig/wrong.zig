//! A plugin whose declaration is wrong: the server must say what is.

const tandem = @import("tandem");

fn wrong(_: *tandem.Context, _: struct { @"a b": []const u8 }) void {}

comptime {
    tandem.plugin(.{ .name = "wrong", .functions = .{.{ .name = "wrong", .call = wrong }} });
}
