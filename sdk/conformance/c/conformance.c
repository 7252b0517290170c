/* The conformance plugin in C: the same functions as goplugin, which the suite calls alike. */
#include "tandem.h"
#include "tandem_models.h"

static int32_t echo(tdm_call *c) {
	for (uint32_t i = 0; i < c->request->num_in; i++) tdm_set_same(tdm_out(c, i), tdm_in(c, i));
	return TDM_OK;
}

/* Copies a tensor, so that the output is the plugin's own memory. */
static int32_t copy(tdm_call *c) {
	const tdm_value *t = tdm_in(c, 0);
	if (t->dtype == TDM_BYTES) {
		uint32_t n = tdm_count(t);
		const char **strings = (const char **)tdm_take(4 * n + 4, 4);
		uint32_t *lengths = (uint32_t *)tdm_take(4 * n + 4, 4);
		if (!strings || !lengths) return tdm_no_memory(c);
		for (uint32_t i = 0; i < n; i++) strings[i] = tdm_string(t, i, &lengths[i]);
		return tdm_set_strings(tdm_out(c, 0), t->rank, t->dims, strings, lengths, n) ? TDM_OK : tdm_no_memory(c);
	}
	void *to = tdm_out_tensor(c, 0, t->dtype, t->rank, t->dims);
	if (!to) return tdm_no_memory(c);
	tdm_copy(to, tdm_data(t), (uint32_t)t->data_len);
	return TDM_OK;
}

static int32_t reverse(tdm_call *c) {
	for (uint32_t k = 0; k < 2; k++) {
		const tdm_value *list = tdm_in(c, k);
		tdm_value *items = tdm_set_list(tdm_out(c, k), list->items);
		if (!items) return tdm_no_memory(c);
		for (uint32_t i = 0; i < list->items; i++) tdm_set_same(&items[i], tdm_item(list, list->items - 1 - i));
	}
	return TDM_OK;
}

static int32_t lengths(tdm_call *c) {
	const tdm_value *t = tdm_in(c, 0);
	int64_t *out = (int64_t *)tdm_out_tensor(c, 0, TDM_INT64, 1, t->dims);
	if (!out) return tdm_no_memory(c);
	for (uint32_t i = 0; i < tdm_count(t); i++) {
		uint32_t n;
		tdm_string(t, i, &n);
		out[i] = n;
	}
	return TDM_OK;
}

/* Says which of the optional inputs were given, and hands them on. */
static int32_t optional(tdm_call *c) {
	static const char *const names[] = {"none", "tensor", "text", "both"};
	const tdm_value *t = tdm_in(c, 0), *s = tdm_in(c, 1);
	const char *given = names[!tdm_absent(t) + 2 * !tdm_absent(s)];
	tdm_out_text(c, 0, given, tdm_length(given));
	tdm_set_same(tdm_out(c, 1), t);
	tdm_set_same(tdm_out(c, 2), s);
	return TDM_OK;
}

static int32_t scale(tdm_call *c) {
	const tdm_value *x = tdm_in(c, 0);
	float *y = (float *)tdm_out_tensor(c, 0, TDM_FP32, 1, x->dims);
	if (!y) return tdm_no_memory(c);
	float by = (float)tdm_config_number("factor", 2);
	if (tdm_config_bool("negate", 0)) by = -by;
	for (uint32_t i = 0; i < tdm_count(x); i++) y[i] = by * tdm_f32(x)[i];
	return TDM_OK;
}

/* Returns n tensors, of 0, 1, 2 and so on elements. */
static int32_t make(tdm_call *c) {
	int64_t n = tdm_i64(tdm_in(c, 0))[0];
	if (n < 0 || n > 1000) return tdm_fail(c, "n is not in 0..1000");
	tdm_value *items = tdm_set_list(tdm_out(c, 0), (uint32_t)n);
	if (!items) return tdm_no_memory(c);
	for (int64_t i = 0; i < n; i++) {
		float *data = (float *)tdm_set_tensor(&items[i], TDM_FP32, 1, &i);
		if (!data) return tdm_no_memory(c);
		for (int64_t k = 0; k < i; k++) data[k] = (float)i;
	}
	return TDM_OK;
}

static int32_t fail(tdm_call *c) {
	const tdm_value *text = tdm_in(c, 0);
	char *copy = (char *)tdm_take((uint32_t)text->data_len + 1, 1);
	if (!copy) return tdm_no_memory(c);
	tdm_copy(copy, tdm_text(text), (uint32_t)text->data_len);
	copy[text->data_len] = 0;
	return tdm_fail(c, copy);
}

static int32_t skip(tdm_call *c) {
	(void)c;
	return 7;
}

/* Logs, measures and records its input. */
static int32_t tell(tdm_call *c) {
	const tdm_value *doc = tdm_in(c, 0);
	tdm_log(TDM_WARN, "told");
	tdm_metric(TDM_GAUGE, "told", 2.5);
	int32_t code = tdm_record("told", tdm_text(doc), (uint32_t)doc->data_len);
	uint8_t *recorded = (uint8_t *)tdm_out_tensor(c, 0, TDM_BOOL, 0, NULL);
	if (!recorded) return tdm_no_memory(c);
	*recorded = code >= 0;
	return TDM_OK;
}

/* Counts its calls; each should be the first. */
static int32_t count(tdm_call *c) {
	static int64_t calls;
	int64_t *n = (int64_t *)tdm_out_tensor(c, 0, TDM_INT64, 0, NULL);
	if (!n) return tdm_no_memory(c);
	*n = ++calls;
	return TDM_OK;
}

/* Answers a tensor whose shape has one element more than its data. */
static int32_t bad(tdm_call *c) {
	int64_t n = tdm_i64(tdm_in(c, 0))[0];
	if (!tdm_out_tensor(c, 0, TDM_FP32, 1, &n)) return tdm_no_memory(c);
	tdm_out(c, 0)->dims[0]++;
	return TDM_OK;
}

static int is(const tdm_value *v, const char *text) {
	uint32_t n = tdm_length(text);
	if (v->data_len != n) return 0;
	for (uint32_t i = 0; i < n; i++)
		if (tdm_text(v)[i] != text[i]) return 0;
	return 1;
}

/* Starts a model three times and adds the answers up as they come. */
static int32_t many(tdm_call *c, int32_t model, const tdm_value *x) {
	int32_t tickets[3], code;
	for (int i = 0; i < 3; i++)
		if ((tickets[i] = tdm_model_start(model, x, 1)) < 0) return tdm_fail(c, tdm_error_text(tickets[i]));
	float *sum = (float *)tdm_out_tensor(c, 0, TDM_FP32, x->rank, x->dims);
	if (!sum) return tdm_no_memory(c);
	for (uint32_t i = 0; i < tdm_count(x); i++) sum[i] = 0;
	for (uint32_t open = 3; open > 0; open--) {
		tdm_value y = tdm_wanted("y");
		int32_t i = tdm_wait_any(tickets, open, -1);
		if (i < 0) return tdm_fail(c, tdm_error_text(i));
		if ((code = tdm_model_wait(tickets[i], &y, 1, -1)) < 0) return tdm_fail(c, tdm_error_text(code));
		tickets[i] = tickets[open - 1];
		const float *data = (const float *)tdm_fetch(&y);
		if (!data) return tdm_no_memory(c);
		for (uint32_t k = 0; k < tdm_count(x); k++) sum[k] += data[k];
	}
	return TDM_OK;
}

/* Asks models in every way there is. */
static int32_t ask(tdm_call *c) {
	const tdm_value *how = tdm_in(c, 0);
	tdm_value x = tdm_argument("x", tdm_in(c, 1)), y = tdm_wanted(is(how, "missing") ? "z" : "y");
	int32_t model = tdm_model_open(is(how, "denied") ? "secret" : is(how, "fail") ? "broken" : "double");
	if (model < 0) return tdm_fail(c, tdm_error_text(model));
	if (is(how, "many")) return many(c, model, &x);
	int32_t code = tdm_model_run(model, &x, 1, &y, 1);
	if (code >= 0 && is(how, "hand")) {
		tdm_value once = tdm_argument("", &y);
		y = tdm_wanted("");
		code = tdm_model_run(model, &once, 1, &y, 1);
	}
	if (code >= 0 && is(how, "run")) {
		if (!tdm_fetch(&y)) return tdm_no_memory(c);
		code = tdm_keep(&y);
	}
	if (code < 0) return tdm_fail(c, tdm_error_text(code));
	tdm_set_same(tdm_out(c, 0), &y);
	return TDM_OK;
}

/* Reads what a model answers as JSON beside a tensor. */
static int32_t explain(tdm_call *c) {
	tdm_value x = tdm_argument("x", tdm_in(c, 0)), out[2] = {tdm_wanted("y"), tdm_wanted("doc")};
	int32_t model = tdm_model_open("double");
	int32_t code = model < 0 ? model : tdm_model_run(model, &x, 1, out, 2);
	if (code < 0) return tdm_fail(c, tdm_error_text(code));
	if (out[0].kind != TDM_TENSOR_KIND || out[1].kind != TDM_JSON_KIND) return tdm_fail(c, "a tensor and a document were taken for each other");
	const char *doc = (const char *)tdm_fetch(&out[1]);
	if (!doc) return tdm_no_memory(c);
	tdm_out_json(c, 0, doc, (uint32_t)out[1].data_len);
	return TDM_OK;
}

#define KINDS TDM_PORTS(TDM_TEXT("text"), TDM_JSON("json"), TDM_BINARY("bytes"), TDM_IMAGE("image"), \
                        TDM_PORT("\"name\":\"tensor\",\"kind\":\"tensor\""))
#define LISTS TDM_PORTS(TDM_TENSOR_LIST("tensors", "FP32", "\"?\",2"), \
                        TDM_PORT("\"name\":\"texts\",\"kind\":\"text\",\"list\":true"))
#define ANY(name) TDM_PORTS(TDM_PORT("\"name\":\"" name "\",\"kind\":\"tensor\""))
#define OPTIONAL                                                                                            \
	TDM_PORT("\"name\":\"tensor\",\"kind\":\"tensor\",\"dtype\":\"FP32\",\"shape\":[\"n\"],\"optional\":true"), \
		TDM_PORT("\"name\":\"text\",\"kind\":\"text\",\"optional\":true")
#define SCALE TDM_WITH("{\"type\":\"object\",\"properties\":{\"factor\":{\"default\":2,\"type\":\"number\",\"minimum\":-100," \
                       "\"maximum\":100},\"negate\":{\"type\":\"boolean\"}},\"additionalProperties\":false}")

#define FUNCTIONS(F)                                                                                           \
	F(echo, "hands every kind on", KINDS, KINDS, TDM_NO_WITH)                                              \
	F(copy, "copies a tensor", ANY("x"), ANY("y"), TDM_NO_WITH)                                            \
	F(reverse, "turns lists round", LISTS, LISTS, TDM_NO_WITH)                                             \
	F(lengths, "measures strings", TDM_PORTS(TDM_TENSOR("strings", "BYTES", "\"n\"")),                     \
	  TDM_PORTS(TDM_TENSOR("lengths", "INT64", "\"n\"")), TDM_NO_WITH)                                     \
	F(optional, "says what was given", TDM_PORTS(OPTIONAL), TDM_PORTS(TDM_TEXT("given"), OPTIONAL), TDM_NO_WITH) \
	F(scale, "multiplies", TDM_PORTS(TDM_TENSOR("x", "FP32", "\"n\"")), TDM_PORTS(TDM_TENSOR("y", "FP32", "\"n\"")), SCALE) \
	F(make, "makes a list", TDM_PORTS(TDM_TENSOR("n", "INT64", "")), TDM_PORTS(TDM_TENSOR_LIST("list", "FP32", "\"?\"")), TDM_NO_WITH) \
	F(fail, "fails with its input", TDM_PORTS(TDM_TEXT("text")), TDM_NO_PORTS, TDM_NO_WITH)                \
	F(skip, "ends with an outcome", TDM_NO_PORTS, TDM_NO_PORTS, TDM_NO_WITH TDM_OUTCOMES("\"skip\":7"))    \
	F(tell, "logs, measures and records", TDM_PORTS(TDM_JSON("doc")), TDM_PORTS(TDM_TENSOR("recorded", "BOOL", "")), TDM_NO_WITH) \
	F(count, "counts its calls", TDM_NO_PORTS, TDM_PORTS(TDM_TENSOR("calls", "INT64", "")), TDM_NO_WITH)   \
	F(bad, "answers what it should not", TDM_PORTS(TDM_TENSOR("n", "INT64", "")), TDM_PORTS(TDM_TENSOR("y", "FP32", "\"n\"")), TDM_NO_WITH) \
	F(ask, "asks models", TDM_PORTS(TDM_TEXT("how"), TDM_TENSOR("x", "FP32", "\"n\"")), ANY("y"), TDM_NO_WITH) \
	F(explain, "asks for a document", TDM_PORTS(TDM_TENSOR("x", "FP32", "\"n\"")), TDM_PORTS(TDM_JSON("doc")), TDM_NO_WITH)

TDM_PLUGIN("conformance", "1.0.0", "Calls that every SDK passes.", FUNCTIONS)
