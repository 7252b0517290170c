/* What the plugin does: functions over typed values, which are the same natively. */
#ifndef SHOUT_HPP
#define SHOUT_HPP

#include "../tdm_config.hpp"
#include "../tdm_context.hpp"
#include "../tdm_out.hpp"

struct shout_config {
	int32_t marks = 1;
	template <class F> void fields(F &f) { f("marks", marks).min(0).max(9).doc("exclamation marks to add"); }
};

/* Says it louder. Nothing to say is an error. */
inline tdm::status shout(const tdm::context &ctx, tdm::string_view what, const shout_config &with, tdm::out<tdm::string_view> &loud,
                         tdm::out<int64_t> &length) {
	if (what.empty()) return tdm::error{"nothing to say"};
	ctx.log(tdm::level::debug, "shouting");
	tdm::text t;
	for (char c : what) t.add(c >= 'a' && c <= 'z' ? (char)(c - 32) : c);
	for (int32_t i = 0; i < with.marks; i++) t.add('!');
	loud = t.view();
	length = (int64_t)t.view().size();
	return tdm::ok;
}

#endif
