/*
 * tdm_context.hpp - what a function in C++ reaches outside of its sandbox: logs, metrics, records and models. Natively lines go
 * to standard error, records and samples are counted, and there is no model.
 */
#ifndef TDM_CONTEXT_HPP
#define TDM_CONTEXT_HPP

#include "tdm_types.hpp"

#ifdef __wasm__
#include "tandem_models.h"
#else
#include <stdio.h>
#endif

namespace tdm {

enum class level { debug, info, warn, error };
enum class metric_kind { counter, gauge, histogram };

/* An input of a model; an empty name means by position. */
struct argument {
	string_view name;
	any_tensor value;
	template <class T> argument(string_view n, tensor<T> t) : name(n), value(any(t)) {}
	argument(string_view n, any_tensor t) : name(n), value(t) {}
};

#ifdef __wasm__

/* Returns what an error of the server means. */
inline error host_error(int32_t code) { return error{tdm_error_text(code)}; }

inline tdm_value describe(string_view name, const any_tensor &t) {
	tdm_value v = {};
	v.name_ptr = (uint32_t)(uintptr_t)name.data();
	v.name_len = (uint32_t)name.size();
	v.kind = TDM_TENSOR_KIND;
	v.dtype = (uint8_t)t.type;
	v.rank = (uint8_t)t.shape.rank;
	for (uint32_t i = 0; i < t.shape.rank; i++) v.dims[i] = t.shape.dims[i];
	v.handle = t.handle;
	v.flags = t.handle ? TDM_HOST_SIDE : 0;
	v.data_ptr = t.handle ? 0 : (uint32_t)(uintptr_t)t.data.data();
	v.data_len = t.data.size();
	return v;
}

/* What a model answered. It stays in the server until it is read, and is forgotten at the end of the call. */
struct answer {
	tdm_value v;

	/* Whether it is a JSON document, as models answer sequences and maps. */
	bool is_json() const { return v.kind == TDM_JSON_KIND; }
	/* The tensor where it is: as an output, or as the input of a model, it is handed on without a copy. */
	any_tensor remote() const {
		any_tensor t;
		t.type = (dtype)v.dtype;
		t.shape = tdm::shape::of(v.rank, v.dims);
		t.data = {nullptr, (size_t)v.data_len};
		t.handle = v.handle;
		return t;
	}
	/* Copies a tensor from the server. It fails when its elements are of another type. */
	template <class T> result<tensor<const T>> read() const {
		if (v.kind != TDM_TENSOR_KIND) return error{"the model answered no tensor"};
		tdm_value copy = v;
		const void *data = tdm_fetch(&copy);
		if (!data) return error{"the answer cannot be read"};
		any_tensor t{(dtype)v.dtype, tdm::shape::of(v.rank, v.dims), {static_cast<const uint8_t *>(data), (size_t)v.data_len}};
		optional<tensor<const T>> typed = t.as<T>();
		if (!typed) return error{"the model answered elements of another type"};
		return *typed;
	}
	/* Copies a JSON document from the server. */
	result<json> read_json() const {
		if (!is_json()) return error{"the model answered no JSON"};
		tdm_value copy = v;
		const void *data = tdm_fetch(&copy);
		if (!data) return error{"the answer cannot be read"};
		return json{{static_cast<const char *>(data), (size_t)v.data_len}};
	}
};

/* What a model answered, in the order of the names that were asked for. */
template <size_t N> struct answers {
	answer items[N];
	const answer &operator[](size_t i) const { return items[i]; }
};

/* Asks for outputs of a model by name. */
template <size_t N> answers<N> wanted(const string_view (&names)[N]) {
	answers<N> out;
	for (size_t i = 0; i < N; i++) {
		out.items[i].v = tdm_value{};
		out.items[i].v.name_ptr = (uint32_t)(uintptr_t)names[i].data();
		out.items[i].v.name_len = (uint32_t)names[i].size();
	}
	return out;
}

inline span<tdm_value> describe_all(span<const argument> in) {
	span<tdm_value> out = take<tdm_value>(in.size());
	for (size_t i = 0; i < in.size(); i++) out[i] = describe(in[i].name, in[i].value);
	return out;
}

/* A run of a model that was started. */
struct ticket {
	int32_t number = 0;

	/* Waits for the run and returns the outputs with these names. It may be called once. */
	template <size_t N> result<answers<N>> wait(const string_view (&outputs)[N]) const {
		answers<N> out = wanted(outputs);
		int32_t code = tdm_model_wait(number, &out.items[0].v, N, -1);
		if (code < 0) return host_error(code);
		return out;
	}
};

/* Waits until one of the tickets is done and returns its index. */
inline result<size_t> wait_any(span<const ticket> tickets) {
	static_assert(sizeof(ticket) == 4, "a ticket is its number");
	int32_t i = tdm_wait_any(&tickets.data()->number, (uint32_t)tickets.size(), -1);
	if (i < 0) return host_error(i);
	return (size_t)i;
}

/* A model that the node may call, for the length of the call. */
struct model {
	int32_t number = 0;

	/* Runs the model and waits; returns the outputs with these names, "" for the one at the same position. */
	template <size_t M, size_t N> result<answers<N>> run(const argument (&in)[M], const string_view (&outputs)[N]) const {
		answers<N> out = wanted(outputs);
		span<tdm_value> values = describe_all({in, M});
		int32_t code = tdm_model_run(number, values.data(), M, &out.items[0].v, N);
		if (code < 0) return host_error(code);
		return out;
	}
	/* Starts the model on copies of its inputs and goes on. At most 64 runs of a call may be open. */
	template <size_t M> result<ticket> start(const argument (&in)[M]) const {
		span<tdm_value> values = describe_all({in, M});
		int32_t code = tdm_model_start(number, values.data(), M);
		if (code < 0) return host_error(code);
		return ticket{code};
	}
};

/* What a function knows about the call that it serves. */
struct context {
	tdm_request *request = nullptr;

	void log(level l, string_view text) const { tdm_log_n((int32_t)l, text.data(), (uint32_t)text.size()); }
	/* Adds one sample to a metric of the plugin. */
	status metric(metric_kind kind, string_view name, double value) const {
		return checked(tdm_metric_n((int32_t)kind, name.data(), (uint32_t)name.size(), value));
	}
	/* Appends one JSON document to a stream of records. */
	status record(string_view stream, json doc) const {
		return checked(tdm_record_n(stream.data(), (uint32_t)stream.size(), doc.text.data(), (uint32_t)doc.text.size()));
	}
	/* Nanoseconds that the call had at its beginning, 0 for no limit; the number that stands in the server's log too. */
	uint64_t budget_ns() const { return request->deadline_ns; }
	uint64_t request_id() const { return request->request_id; }
	/* Returns a model by the name under which the graph's node may call it. */
	result<tdm::model> model(string_view name) const {
		int32_t number = tdm_model_open_n(name.data(), (uint32_t)name.size());
		if (number < 0) return host_error(number);
		return tdm::model{number};
	}
	/* Moves a tensor to the server, so that several model calls share it. */
	result<any_tensor> keep(any_tensor t) const {
		tdm_value v = describe("", t);
		int32_t handle = tdm_val_make(&v);
		if (handle < 0) return host_error(handle);
		t.handle = (uint32_t)handle;
		return t;
	}
	/* Returns a configured value: a string's text, or JSON. */
	optional<string_view> config(string_view name) const {
		int32_t n = tdm_config_get(name.data(), (uint32_t)name.size(), nullptr, 0);
		if (n < 0) return {};
		span<char> text = take<char>((size_t)n);
		tdm_config_get(name.data(), (uint32_t)name.size(), text.data(), (uint32_t)n);
		return string_view{text.data(), text.size()};
	}

private:
	static status checked(int32_t code) {
		if (code < 0) return host_error(code);
		return ok;
	}
};

#else

struct context {
	mutable int lines = 0, samples = 0, records = 0;

	void log(level, string_view text) const {
		lines++;
		fprintf(stderr, "%.*s\n", (int)text.size(), text.data());
	}
	status metric(metric_kind, string_view, double) const {
		samples++;
		return ok;
	}
	status record(string_view, json) const {
		records++;
		return ok;
	}
	uint64_t budget_ns() const { return 0; }
	uint64_t request_id() const { return 0; }
};

#endif

} // namespace tdm

#endif
