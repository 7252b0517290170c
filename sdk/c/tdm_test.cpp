/* Tests of the headers for C++, natively: make test. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tdm_config.hpp"
#include "tdm_context.hpp"
#include "tdm_out.hpp"

static void check_float(float v, const char *want) {
	tdm::text t;
	t.add(v);
	if (!(t.view() == want)) {
		fprintf(stderr, "%.9g: got %.*s, want %s\n", v, (int)t.n, t.ptr, want);
		abort();
	}
}

/* Numbers are written as short as they can be, and read as what they were. */
static void floats() {
	check_float(0, "0");
	check_float(1, "1");
	check_float(-2.5f, "-2.5");
	check_float(0.1f, "0.1");
	check_float(0.98f, "0.98");
	check_float(0.251953125f, "0.25195312"); /* as near to ...13: the even one */
	check_float(123456, "123456");
	check_float(1.5e-5f, "0.000015");
	check_float(9.9999999e9f, "10000000000");
	check_float(3.4028235e38f, "3.4028235e+38");
	check_float(1e-8f, "1e-08");
	check_float(INFINITY, "null");
	uint32_t state = 1;
	for (int i = 0; i < 1000000; i++) {
		state = state * 1664525 + 1013904223;
		uint32_t bits = (i & 1) ? state : 0x3f000000 + (state >> 8);
		float v;
		memcpy(&v, &bits, 4);
		if (v != v || v - v != 0 || fabsf(v) < 1e-30f) continue;
		tdm::text t;
		t.add(v).add('\0');
		assert(strtof(t.ptr, nullptr) == v);
	}
}

static void documents() {
	tdm::json_writer w;
	w.begin('[').begin('{').key("a\"\n\x01").value("b\\").key("n").value(-7).end('}').value(true).begin('[').end(']').value(0.5f).end(']');
	assert(w.json().text == "[{\"a\\\"\\n\\u0001\":\"b\\\\\",\"n\":-7},true,[],0.5]");
}

struct settings {
	float factor = 2;
	tdm::optional<bool> negate;
	tdm::string_view mode = "a";
	tdm::span<const double> mean;
	template <class F> void fields(F &f) {
		f("factor", factor).min(-1.5).max(100).doc("how much");
		f("negate", negate).needed();
		f("mode", mode).one_of({"a", "b"});
		f("mean", mean);
	}
};

struct source {
	tdm::optional<tdm::string_view> config(tdm::string_view name) const {
		if (name == "factor") return tdm::string_view("-1.25e1");
		if (name == "mean") return tdm::string_view("[1, 2.5,-3e-1]");
		return {};
	}
};

static void configuration() {
	settings s;
	tdm::schema_writer schema;
	s.fields(schema);
	schema.close();
	assert(schema.w.out.view() ==
	       "\"factor\":{\"type\":\"number\",\"default\":2,\"minimum\":-1.5,\"maximum\":100,\"description\":\"how much\"},"
	       "\"negate\":{\"type\":\"boolean\"},\"mode\":{\"type\":\"string\",\"default\":\"a\",\"enum\":[\"a\",\"b\"]},"
	       "\"mean\":{\"type\":\"array\",\"items\":{\"type\":\"number\"},\"default\":[]}");
	assert(schema.required.out.view() == "\"negate\"");
	source from;
	tdm::config_reader<source> reader{from};
	s.fields(reader);
	assert(s.factor == -12.5f && !s.negate && s.mode == "a" && s.mean.size() == 3 && s.mean[1] == 2.5 && s.mean[2] == -0.3);
}

static void tensors() {
	assert(tdm::shape(2, 3).count() == 6 && tdm::shape().count() == 1 && tdm::shape(-1).count() < 0 && tdm::shape(1 << 30, 1 << 30).count() < 0);
	const tdm::string_view words[] = {"a", "", "gr\xc3\xbc\xc3\x9f" "e"};
	tdm::any_tensor t = tdm::any(tdm::tensor<const tdm::string_view>{{3}, words});
	auto back = t.as<tdm::string_view>();
	assert(back && (*back)[0] == "a" && (*back)[1] == "" && (*back)[2] == words[2] && !t.as<float>());
	float room[4];
	tdm::out<tdm::tensor<float>> y;
	y.buffer = {reinterpret_cast<uint8_t *>(room), sizeof room};
	assert(y.make({2, 2}).data() == room && y.make({3}).data() != room && y.make({-1}).empty());
}

int main() {
	floats();
	documents();
	configuration();
	tensors();
	return 0;
}
