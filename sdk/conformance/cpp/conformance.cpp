/* The conformance plugin in C++: the same functions as c/conformance.c, which the suite calls alike. */
#include "tdm.hpp"

using tdm::any_tensor, tdm::context, tdm::json, tdm::list, tdm::ok, tdm::optional, tdm::out, tdm::status, tdm::string_view, tdm::tensor;

static status echo(string_view text, json doc, tdm::bytes bytes, tdm::image image, any_tensor t, out<string_view> &to_text, out<json> &to_doc,
                   out<tdm::bytes> &to_bytes, out<tdm::image> &to_image, out<any_tensor> &to_t) {
	to_text = text;
	to_doc = doc;
	to_bytes = bytes;
	to_image = image;
	to_t = t;
	return ok;
}

/* Copies a tensor, so that the output is the plugin's own memory. */
static status copy(any_tensor x, out<any_tensor> &y) {
	if (auto strings = x.as<string_view>()) {
		y = tdm::any(*strings);
		return ok;
	}
	auto to = tdm::take<uint8_t>(x.data.size());
	__builtin_memcpy(to.data(), x.data.data(), to.size());
	y = any_tensor{x.type, x.shape, to};
	return ok;
}

static status reverse(list<tensor<const float>> tensors, list<string_view> texts, out<list<tensor<float>>> &to_tensors,
                      out<list<string_view>> &to_texts) {
	size_t n = tensors.size();
	auto turned = to_tensors.make(n);
	for (size_t i = 0; i < n; i++) turned[i] = tensors[n - 1 - i];
	n = texts.size();
	auto words = to_texts.make(n);
	for (size_t i = 0; i < n; i++) words[i] = texts[n - 1 - i];
	return ok;
}

static status lengths(tensor<const string_view> strings, out<tensor<int64_t>> &out) {
	auto to = out.make(strings.shape);
	for (size_t i = 0; i < to.size(); i++) to[i] = (int64_t)strings[i].size();
	return ok;
}

/* Says which of the optional inputs were given, and hands them on. */
static status optionals(optional<tensor<const float>> t, optional<string_view> text, out<string_view> &given,
                        out<optional<tensor<float>>> &to_t, out<optional<string_view>> &to_text) {
	given = t && text ? "both" : t ? "tensor" : text ? "text" : "none";
	to_t = t;
	to_text = text;
	return ok;
}

struct scale_config {
	float factor = 2;
	optional<bool> negate;
	template <class F> void fields(F &f) {
		f("factor", factor).min(-100).max(100);
		f("negate", negate);
	}
};

static status scale(tensor<const float> x, const scale_config &with, out<tensor<float>> &y) {
	auto to = y.make(x.shape);
	float by = with.negate.value_or(false) ? -with.factor : with.factor;
	for (size_t i = 0; i < to.size(); i++) to[i] = by * x[i];
	return ok;
}

/* Returns n tensors, of 0, 1, 2 and so on elements. */
static status make(int64_t n, out<list<tensor<float>>> &all) {
	if (n < 0 || n > 1000) return tdm::error{"n is not in 0..1000"};
	auto items = all.make((size_t)n);
	for (int64_t i = 0; i < n; i++)
		for (float &v : items[(size_t)i].make({i})) v = (float)i;
	return ok;
}

static status fail(string_view text) { return tdm::error{text}; }

static status skip() { return tdm::outcome(7); }

/* Logs, measures and records its input. */
static status tell(const context &ctx, json doc, out<bool> &recorded) {
	ctx.log(tdm::level::warn, "told");
	if (auto s = ctx.metric(tdm::metric_kind::gauge, "told", 2.5); !s) return s;
	recorded = (bool)ctx.record("told", doc);
	return ok;
}

/* Counts its calls; each should be the first. */
static status count(out<int64_t> &calls) {
	static int64_t n;
	calls = ++n;
	return ok;
}

/* Answers a tensor whose shape has one element more than its data. */
static status bad(int64_t n, out<tensor<float>> &y) {
	y.make({n});
	y.value.shape[0]++;
	return ok;
}

/* Starts a model three times and adds the answers up as they come. */
static status many(const context &ctx, tdm::model model, tensor<const float> x, out<any_tensor> &y) {
	tdm::ticket tickets[3];
	for (auto &t : tickets) {
		TDM_TRY(started, model.start({{"x", x}}));
		t = started;
	}
	auto sum = tdm::take<float>(x.size());
	for (float &v : sum) v = 0;
	for (size_t open = 3; open > 0; open--) {
		TDM_TRY(i, tdm::wait_any({tickets, open}));
		TDM_TRY(answers, tickets[i].wait({"y"}));
		tickets[i] = tickets[open - 1];
		TDM_TRY(data, answers[0].read<float>());
		for (size_t k = 0; k < sum.size(); k++) sum[k] += data[k];
	}
	TDM_TRY(kept, ctx.keep(tdm::any(tensor<float>{x.shape, sum})));
	y = kept;
	return ok;
}

/* Asks models in every way there is. */
static status ask(const context &ctx, string_view how, tensor<const float> x, out<any_tensor> &y) {
	TDM_TRY(model, ctx.model(how == "denied" ? "secret" : how == "fail" ? "broken" : "double"));
	if (how == "many") return many(ctx, model, x, y);
	TDM_TRY(once, model.run({{"x", x}}, {how == "missing" ? "z" : "y"}));
	if (how == "hand") {
		TDM_TRY(twice, model.run({{"", once[0].remote()}}, {""}));
		y = twice[0].remote();
		return ok;
	}
	TDM_TRY(data, once[0].read<float>());
	y = tdm::any(data);
	return ok;
}

/* Reads what a model answers as JSON beside a tensor. */
static status explain(const context &ctx, tensor<const float> x, out<json> &doc) {
	TDM_TRY(model, ctx.model("double"));
	TDM_TRY(answers, model.run({{"x", x}}, {"y", "doc"}));
	if (auto number = answers[1].read<float>()) return tdm::error{"a document was read as numbers"};
	if (answers[0].read_json()) return tdm::error{"numbers were read as a document"};
	TDM_TRY(text, answers[1].read_json());
	doc = text;
	return ok;
}

TDM_CPP_PLUGIN("conformance", "1.0.0", "Calls that every SDK passes.",
	tdm::function<echo>("echo", "hands every kind on")
		.in("text").in("json").in("bytes").in("image").in("tensor").out("text").out("json").out("bytes").out("image").out("tensor"),
	tdm::function<copy>("copy", "copies a tensor").in("x").out("y"),
	tdm::function<reverse>("reverse", "turns lists round").in("tensors", "? 2").in("texts").out("tensors", "? 2").out("texts"),
	tdm::function<lengths>("lengths", "measures strings").in("strings", "n").out("lengths", "n"),
	tdm::function<optionals>("optional", "says what was given").in("tensor", "n").in("text").out("given").out("tensor", "n").out("text"),
	tdm::function<scale>("scale", "multiplies").in("x", "n").out("y", "n"),
	tdm::function<make>("make", "makes a list").in("n").out("list", "?"),
	tdm::function<fail>("fail", "fails with its input").in("text"),
	tdm::function<skip>("skip", "ends with an outcome").outcome("skip", 7),
	tdm::function<tell>("tell", "logs, measures and records").in("doc").out("recorded"),
	tdm::function<count>("count", "counts its calls").out("calls"),
	tdm::function<bad>("bad", "answers what it should not").in("n").out("y", "n"),
	tdm::function<ask>("ask", "asks models").in("how").in("x", "n").out("y"),
	tdm::function<explain>("explain", "asks for a document").in("x", "n").out("doc"))
