//! Turns ordinary Zig functions into a Tandem plugin: a WebAssembly module that a server runs in a sandbox between the
//! models of a graph. Ports and configuration are the fields of structs, read at compile time:
//!
//!     const tandem = @import("tandem");
//!
//!     const In = struct { text: []const u8 };
//!     const Out = struct { text: []const u8 };
//!     const With = struct { marks: u32 = 1 };
//!
//!     fn shout(ctx: *tandem.Context, in: In, with: With) !Out {
//!         if (in.text.len == 0) return ctx.fail("nothing to say", .{});
//!         const text = try ctx.allocator.alloc(u8, in.text.len + with.marks);
//!         _ = std.ascii.upperString(text, in.text);
//!         @memset(text[in.text.len..], '!');
//!         return .{ .text = text };
//!     }
//!
//!     comptime {
//!         tandem.plugin(.{ .name = "shout", .version = "0.1.0", .doc = "Says it louder.", .functions = .{
//!             .{ .name = "shout", .doc = "repeats a text in capitals", .call = shout },
//!         } });
//!     }
//!
//! What a function receives are views of the memory that the server filled, and what it takes from `ctx.allocator` is
//! freed by the server: both last as long as the call. Built natively there are no exports and no server, so that functions
//! are tested with plain `zig test`; `testing.Recorder` helps. One instance runs one call at a time.

const types = @import("types.zig");
const context = @import("context.zig");
const guest = @import("guest.zig");

pub const DType = types.DType;
pub const Bf16 = types.Bf16;
pub const Tensor = types.Tensor;
pub const AnyTensor = types.AnyTensor;
pub const Remote = types.Remote;
pub const Bytes = types.Bytes;
pub const Json = types.Json;
pub const Image = types.Image;

pub const Context = context.Context;
pub const Host = context.Host;
pub const HostError = context.HostError;
pub const Level = context.Level;
pub const MetricKind = context.MetricKind;
pub const Model = context.Model;
pub const Ticket = context.Ticket;
pub const Argument = context.Argument;
pub const waitAny = context.waitAny;

pub const plugin = guest.plugin;
pub const description = @import("describe.zig").description;
pub const testing = @import("testing.zig");

test {
    _ = types;
    _ = @import("config.zig");
    _ = @import("describe.zig");
    _ = testing;
}
