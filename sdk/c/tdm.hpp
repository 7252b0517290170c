/*
 * tdm.hpp - write a Tandem plugin in C++17, without a C++ library, exceptions or RTTI.
 *
 *   #include "tdm.hpp"
 *
 *   static tdm::status twice(tdm::tensor<const float> x, tdm::out<tdm::tensor<float>> &y) {
 *       auto to = y.make(x.shape);
 *       for (size_t i = 0; i < to.size(); i++) to[i] = 2 * x[i];
 *       return tdm::ok;
 *   }
 *
 *   TDM_CPP_PLUGIN("double", "1.0.0", "Doubles numbers.",
 *       tdm::function<twice>("twice", "doubles").in("x", "n").out("y", "n"))
 *
 * A function's parameters are its ports, in any order: inputs by value, outputs as tdm::out<...>&, and where it wants them
 * const tdm::context& and its configuration as a const reference to a struct (tdm_config.hpp). in and out give each of them
 * a name and, for tensors, a shape: "batch 3 h w" with a number, a name that is equal wherever it stands in the function, or
 * ? for any; none of it for any shape. Include it in one file only: it defines the module's exports. tdm_types.hpp and the
 * others that it includes are the same natively, for tests.
 */
#ifndef TDM_HPP
#define TDM_HPP

#include "tdm_config.hpp"
#include "tdm_context.hpp"
#include "tdm_out.hpp"

#ifndef __wasm__
#define TDM_CPP_PLUGIN(...)
#else

#include "tdm_port.hpp"

namespace tdm {

/* ---- what a function's parameters are ----------------------------------------------------------------------------- */

enum class role { input, output, context, config };

template <class A> struct parameter { /* an input */
	static constexpr role is = role::input;
	using type = A;
	A held;
	A &get() { return held; }
	void load(tdm_call *c, size_t at) { held = port<A>::load(*tdm_in(c, (uint32_t)at)); }
	string_view save(tdm_call *, size_t) { return {}; }
};

template <class T> void bind(const tdm_value &, out<T> &) {}
template <class T> void bind(const tdm_value &v, out<tensor<T>> &o) {
	if (v.flags & TDM_BOUND) o.buffer = {static_cast<uint8_t *>(const_cast<void *>(tdm_data(&v))), (size_t)v.data_len};
}

template <class T> struct parameter<out<T> &> {
	static constexpr role is = role::output;
	using type = T;
	out<T> held;
	out<T> &get() { return held; }
	void load(tdm_call *c, size_t at) { bind(*tdm_out(c, (uint32_t)at), held); }
	string_view save(tdm_call *c, size_t at) {
		tdm_value *v = tdm_out(c, (uint32_t)at);
		if (held.present) port<T>::save(*v, held);
		else if (port<T>::is_optional) v->flags = TDM_ABSENT;
		else return "an output was given no value";
		return {};
	}
};

template <> struct parameter<const context &> {
	static constexpr role is = role::context;
	context held;
	const context &get() { return held; }
	void load(tdm_call *c, size_t) { held.request = c->request; }
	string_view save(tdm_call *, size_t) { return {}; }
};

/* The configuration of one function: read once before the snapshot that calls start from, where it is configured. */
template <class W> struct configured {
	static inline W value;
	static inline bool ready = false;
	static const W &get() {
		if (ready) return value;
		context source;
		config_reader<context> reader{source};
		value.fields(reader);
		ready = true;
		return value;
	}
};

template <class W> struct parameter<const W &> {
	static constexpr role is = role::config;
	using type = W;
	const W &get() { return configured<W>::get(); }
	void load(tdm_call *, size_t) {}
	string_view save(tdm_call *, size_t) { return {}; }
};

/* ---- functions ---------------------------------------------------------------------------------------------------- */

struct port_name {
	const char *name = nullptr, *shape = nullptr, *doc = nullptr;
};

/* Describes one port. */
template <class T> void describe_port(json_writer &w, const port_name &p) {
	using P = port<T>;
	constexpr const char *names[] = {"", "FP32", "UINT8", "INT8", "UINT16", "INT16", "INT32", "INT64", "BYTES", "BOOL", "FP16", "FP64",
	                                 "UINT32", "UINT64", "", "", "BF16"};
	w.begin('{').key("name").value(p.name).key("kind").value(P::kind);
	if (P::type != dtype::none) w.key("dtype").value(names[(int)P::type]);
	const char *shape = P::is_scalar ? "" : p.shape;
	if (shape) {
		w.key("shape").begin('[');
		for (const char *s = shape; *s;) {
			string_view word{s, 0};
			while (*s && *s != ' ') s++, word.n++;
			while (*s == ' ') s++;
			if (word[0] >= '0' && word[0] <= '9') w.raw(word);
			else w.value(word);
		}
		w.end(']');
	}
	if (p.doc) w.key("doc").value(p.doc);
	if (P::is_optional) w.key("optional").value(true);
	if (P::is_list) w.key("list").value(true);
	w.end('}');
}

constexpr size_t most_ports = 16;

/* One function of a plugin and how it is described. */
struct function_entry {
	const char *name, *doc;
	port_name inputs[most_ports], outputs[most_ports];
	size_t num_in = 0, num_out = 0, want_in, want_out;
	const char *outcome_names[8] = {};
	int outcome_codes[8] = {};
	size_t num_outcomes = 0;
	void (*describe_ports)(json_writer &, const port_name *, role);
	void (*describe_config)(json_writer &);
	int32_t (*run)(tdm_call *);
	void (*configure)();

	/* Names the next input. */
	constexpr function_entry in(const char *port, const char *shape = nullptr, const char *about = nullptr) const {
		function_entry f = *this;
		f.inputs[f.num_in++] = {port, shape, about};
		return f;
	}
	/* Names the next output. */
	constexpr function_entry out(const char *port, const char *shape = nullptr, const char *about = nullptr) const {
		function_entry f = *this;
		f.outputs[f.num_out++] = {port, shape, about};
		return f;
	}
	/* Declares an outcome, from 1 to 255. */
	constexpr function_entry outcome(const char *what, int code) const {
		function_entry f = *this;
		f.outcome_names[f.num_outcomes] = what;
		f.outcome_codes[f.num_outcomes++] = code;
		return f;
	}
	constexpr bool complete() const { return num_in == want_in && num_out == want_out; }
};

template <size_t... I> struct indices {};
template <size_t N, size_t... I> struct make_indices : make_indices<N - 1, N - 1, I...> {};
template <size_t... I> struct make_indices<0, I...> { using type = indices<I...>; };

/* How many of the first n parameters have a role. */
template <class... A> constexpr size_t count_of(role r, size_t n) {
	constexpr role roles[] = {parameter<A>::is..., role::context};
	size_t found = 0;
	for (size_t i = 0; i < n; i++)
		if (roles[i] == r) found++;
	return found;
}

template <size_t I, class A> struct held { parameter<A> p; };
template <class I, class... A> struct holder;
template <size_t... I, class... A> struct holder<indices<I...>, A...> : held<I, A>... {};

template <auto F, class Signature> struct adapter;
template <auto F, class... A> struct adapter<F, status (*)(A...)> {
	static constexpr size_t num_in = count_of<A...>(role::input, sizeof...(A)), num_out = count_of<A...>(role::output, sizeof...(A));

	template <size_t... I> static int32_t run_with(tdm_call *c, indices<I...>) {
		holder<indices<I...>, A...> h;
		(static_cast<held<I, A> &>(h).p.load(c, count_of<A...>(parameter<A>::is, I)), ...);
		status s = F(static_cast<held<I, A> &>(h).p.get()...);
		if (!s) return failed(c, s.error().text);
		if (s.outcome) return s.outcome;
		string_view fault;
		((fault = fault.empty() ? static_cast<held<I, A> &>(h).p.save(c, count_of<A...>(parameter<A>::is, I)) : fault), ...);
		return fault.empty() ? (int32_t)TDM_OK : failed(c, fault);
	}
	static int32_t run(tdm_call *c) { return run_with(c, typename make_indices<sizeof...(A)>::type{}); }
	static int32_t failed(tdm_call *c, string_view why) {
		uint32_t n = why.size() < c->request->err_cap ? (uint32_t)why.size() : c->request->err_cap;
		while (n > 0 && n < why.size() && ((uint8_t)why[n] & 0xc0) == 0x80) n--; /* between two characters */
		tdm_copy((void *)(uintptr_t)c->request->err_ptr, why.data(), n);
		c->request->err_len = n;
		return TDM_ERROR;
	}

	template <class P> static void describe_one(json_writer &w, const port_name *&names, role r) {
		if constexpr (P::is == role::input || P::is == role::output) {
			if (P::is == r) describe_port<typename P::type>(w, *names++);
		}
	}
	static void describe_ports(json_writer &w, const port_name *names, role r) { (describe_one<parameter<A>>(w, names, r), ...); }

	template <class P> static void describe_fields(json_writer &w) {
		if constexpr (P::is == role::config) {
			typename P::type fresh{};
			schema_writer s;
			fresh.fields(s);
			s.close();
			w.key("with").begin('{').key("type").value("object").key("properties").begin('{').raw(s.w.out.view()).end('}');
			if (s.required.out.n) w.key("required").begin('[').raw(s.required.out.view()).end(']');
			w.key("additionalProperties").value(false).end('}');
		}
	}
	static void describe_config(json_writer &w) { (describe_fields<parameter<A>>(w), ...); }

	template <class P> static void configure_one() {
		if constexpr (P::is == role::config) configured<typename P::type>::get();
	}
	static void configure() { (configure_one<parameter<A>>(), ...); }
};

/* Declares a function: tdm::function<scale>("scale", "multiplies").in("x", "n").out("y", "n"). */
template <auto F> constexpr function_entry function(const char *name, const char *doc) {
	using A = adapter<F, decltype(F)>;
	function_entry f{};
	f.name = name;
	f.doc = doc;
	f.want_in = A::num_in;
	f.want_out = A::num_out;
	f.describe_ports = A::describe_ports;
	f.describe_config = A::describe_config;
	f.run = A::run;
	f.configure = A::configure;
	return f;
}

template <size_t N> constexpr bool all_complete(const function_entry (&all)[N]) {
	for (const function_entry &f : all)
		if (!f.complete()) return false;
	return true;
}

inline void describe_function(json_writer &w, const function_entry &f) {
	w.begin('{').key("name").value(f.name).key("doc").value(f.doc).key("inputs").begin('[');
	f.describe_ports(w, f.inputs, role::input);
	w.end(']').key("outputs").begin('[');
	f.describe_ports(w, f.outputs, role::output);
	w.end(']');
	f.describe_config(w);
	if (f.num_outcomes) {
		w.key("outcomes").begin('{');
		for (size_t i = 0; i < f.num_outcomes; i++) w.key(f.outcome_names[i]).value((int32_t)f.outcome_codes[i]);
		w.end('}');
	}
	w.end('}');
}

inline uint64_t describe_plugin(const char *name, const char *version, const char *doc, span<const function_entry> functions) {
	json_writer w;
	w.begin('{').key("name").value(name).key("version").value(version).key("doc").value(doc).key("functions").begin('[');
	for (const function_entry &f : functions) describe_function(w, f);
	w.end(']').end('}');
	return (uint64_t)(uint32_t)(uintptr_t)w.out.ptr << 32 | w.out.n;
}

} // namespace tdm

extern "C" void __wasm_call_ctors(void);

/* Makes the module's exports. */
#define TDM_CPP_PLUGIN(name, version, doc, ...)                                                                              \
	static constexpr tdm::function_entry tdm_functions[] = {__VA_ARGS__};                                                \
	static_assert(tdm::all_complete(tdm_functions), "each input and output of a function is named once");                \
	extern "C" {                                                                                                         \
	TDM_EXPORT("_initialize") void tdm_initialize(void) { __wasm_call_ctors(); }                                         \
	TDM_EXPORT("tdm1_describe") uint64_t tdm1_describe(void) { return tdm::describe_plugin(name, version, doc, tdm_functions); } \
	TDM_EXPORT("tdm1_init") int32_t tdm1_init(uint32_t, uint32_t) {                                                      \
		for (const tdm::function_entry &f : tdm_functions) f.configure();                                            \
		return 0;                                                                                                    \
	}                                                                                                                    \
	TDM_ALLOC_()                                                                                                         \
	TDM_EXPORT("tdm1_run") int32_t tdm1_run(uint32_t address) {                                                          \
		tdm_request *r = (tdm_request *)(uintptr_t)address;                                                          \
		tdm_call c = {r, (const tdm_value *)(uintptr_t)r->in_ptr, (tdm_value *)(uintptr_t)r->out_ptr};               \
		if (r->major != 1 || r->op >= sizeof tdm_functions / sizeof *tdm_functions) return tdm_fail(&c, "no such function"); \
		r->num_out = r->out_cap;                                                                                     \
		return tdm_functions[r->op].run(&c);                                                                         \
	}                                                                                                                    \
	}

#endif

#endif
