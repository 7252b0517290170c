/*
 * tdm_config.hpp - how a node configures a function in C++: a struct that names its fields.
 *
 *   struct settings {
 *       float factor = 2;
 *       tdm::optional<bool> negate;
 *       template <class F> void fields(F &f) {
 *           f("factor", factor).min(-100).max(100).doc("what numbers are multiplied by");
 *           f("negate", negate);
 *       }
 *   };
 *
 * The JSON Schema is made from it, and the server holds configurations to that. Fields are bool, int32_t, uint32_t, int64_t,
 * float, double, string_view, span<const double>, and optional of these. What a field is at first is its default.
 */
#ifndef TDM_CONFIG_HPP
#define TDM_CONFIG_HPP

#include "tdm_json.hpp"

namespace tdm {

/* The type of a function that has no configuration. */
struct no_config {
	template <class F> void fields(F &) {}
};

/* How types of fields are written in a schema and read from the text that the server has of them: a string's own, or JSON. */
template <class T> struct field;

/* Reads a JSON number at p, which ends behind it. */
inline double read_number(const char *&p, const char *end) {
	double value = 0;
	int negative = p < end && *p == '-', below = 0, exponent = 0, small = 0;
	if (negative) p++;
	for (; p < end && *p >= '0' && *p <= '9'; p++) value = value * 10 + (*p - '0');
	if (p < end && *p == '.')
		for (p++; p < end && *p >= '0' && *p <= '9'; p++, below++) value = value * 10 + (*p - '0');
	if (p < end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < end && (*p == '-' || *p == '+')) small = *p++ == '-';
		for (; p < end && *p >= '0' && *p <= '9' && exponent < 1000; p++) exponent = exponent * 10 + (*p - '0');
	}
	exponent = (small ? -exponent : exponent) - below;
	value = exponent < 0 ? value / power_of_ten(-exponent) : value * power_of_ten(exponent);
	return negative ? -value : value;
}

template <class T> struct number_field {
	static T read(string_view s) {
		const char *p = s.begin();
		return (T)read_number(p, s.end());
	}
};
#define TDM_INTEGER_FIELD(T, limits)                                                      \
	template <> struct field<T> : number_field<T> {                                   \
		static constexpr const char *schema = "\"type\":\"integer\"" limits;      \
		static void write(json_writer &w, T v) { w.value((int64_t)v); }           \
	}
TDM_INTEGER_FIELD(int32_t, "");
TDM_INTEGER_FIELD(uint32_t, "");
TDM_INTEGER_FIELD(int64_t, "");
#undef TDM_INTEGER_FIELD
template <> struct field<float> : number_field<float> {
	static constexpr const char *schema = "\"type\":\"number\"";
	static void write(json_writer &w, float v) { w.value(v); }
};
template <> struct field<double> : number_field<double> {
	static constexpr const char *schema = "\"type\":\"number\"";
	static void write(json_writer &w, double v) { w.value((float)v); }
};
template <> struct field<bool> {
	static constexpr const char *schema = "\"type\":\"boolean\"";
	static void write(json_writer &w, bool v) { w.value(v); }
	static bool read(string_view s) { return s == "true"; }
};
template <> struct field<string_view> {
	static constexpr const char *schema = "\"type\":\"string\"";
	static void write(json_writer &w, string_view v) { w.value(v); }
	static string_view read(string_view s) { return s; }
};
template <> struct field<span<const double>> {
	static constexpr const char *schema = "\"type\":\"array\",\"items\":{\"type\":\"number\"}";
	static void write(json_writer &w, span<const double> v) {
		w.begin('[');
		for (double d : v) w.value((float)d);
		w.end(']');
	}
	static span<const double> read(string_view s) {
		span<double> out = take<double>(s.size() / 2 + 1);
		size_t n = 0;
		for (const char *p = s.begin(); p < s.end();) {
			if ((*p >= '0' && *p <= '9') || *p == '-') out[n++] = read_number(p, s.end());
			else p++;
		}
		return out.first(n);
	}
};
template <class T> struct field<optional<T>> : field<T> {
	static void write(json_writer &, optional<T>) {}
	static optional<T> read(string_view s) { return field<T>::read(s); }
};

/* Collects the properties of a schema. */
struct schema_writer {
	json_writer w;
	json_writer required;
	bool open = false;
	int count = 0;

	template <class T> schema_writer &operator()(string_view name, T &value) {
		close();
		w.key(name).begin('{').raw(field<T>::schema);
		open = true;
		count++;
		if (!none(value)) {
			w.key("default");
			field<T>::write(w, value);
		}
		last = name;
		return *this;
	}
	schema_writer &min(double v) { return rule("minimum", v); }
	schema_writer &max(double v) { return rule("maximum", v); }
	schema_writer &doc(string_view text) {
		w.key("description").value(text);
		return *this;
	}
	/* The texts that the field may be. */
	template <size_t N> schema_writer &one_of(const char *const (&texts)[N]) {
		w.key("enum").begin('[');
		for (const char *t : texts) w.value(t);
		w.end(']');
		return *this;
	}
	/* The field must be configured. It should be an optional, which has no default. */
	schema_writer &needed() {
		required.value(last);
		return *this;
	}
	void close() {
		if (open) w.end('}');
		open = false;
	}

private:
	string_view last;
	template <class T> static bool none(const T &) { return false; }
	template <class T> static bool none(const optional<T> &v) { return !v.present; }
	schema_writer &rule(string_view name, double v) {
		w.key(name);
		if (v == (double)(int64_t)v) w.value((int64_t)v);
		else w.value((float)v);
		return *this;
	}
};

/* Reads the fields from what the server has of them. */
template <class Source> struct config_reader {
	Source &source;

	template <class T> config_reader &operator()(string_view name, T &value) {
		optional<string_view> text = source.config(name);
		if (text) value = field<T>::read(*text);
		return *this;
	}
	config_reader &min(double) { return *this; }
	config_reader &max(double) { return *this; }
	config_reader &doc(string_view) { return *this; }
	template <size_t N> config_reader &one_of(const char *const (&)[N]) { return *this; }
	config_reader &needed() { return *this; }
};

} // namespace tdm

#endif
