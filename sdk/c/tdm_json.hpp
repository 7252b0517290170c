/* tdm_json.hpp - writing texts and JSON in C++. */
#ifndef TDM_JSON_HPP
#define TDM_JSON_HPP

#include "tdm_types.hpp"

/* Documents are small; what writes them need not be fast. */
#define TDM_NOINLINE __attribute__((noinline))

namespace tdm {

/* A text that grows at its end. What view returned stays as it is when more is added. */
struct text {
	char *ptr = nullptr;
	size_t n = 0, room = 0;

	string_view view() const { return {ptr, n}; }
	text &add(string_view s) {
		char *to = grow(s.size());
		__builtin_memcpy(to, s.data(), s.size());
		return *this;
	}
	text &add(char c) {
		*grow(1) = c;
		return *this;
	}
	TDM_NOINLINE text &add(int64_t v) {
		char digits[20];
		int at = sizeof digits;
		uint64_t rest = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
		do digits[--at] = (char)('0' + rest % 10);
		while (rest /= 10);
		if (v < 0) add('-');
		return add(string_view{digits + at, sizeof digits - (size_t)at});
	}
	/* Adds the shortest digits that read as the same float, as JSON has numbers; null for what is none there. */
	text &add(float v);

private:
	TDM_NOINLINE char *grow(size_t by) {
		if (room - n < by) {
			room = 2 * room > n + by ? 2 * room : n + by + 64;
			char *to = take<char>(room).data();
			if (n) __builtin_memcpy(to, ptr, n);
			ptr = to;
		}
		n += by;
		return ptr + n - by;
	}
};

/* Returns 10 to the power of e, which is exact up to 22. */
inline double power_of_ten(int e) {
	double p = 1;
	for (; e > 0; e--) p *= 10;
	return p;
}

/* Returns the float that digits * 10^exponent is. */
inline float float_of(double digits, int exponent) {
	return (float)(exponent < 0 ? digits / power_of_ten(-exponent) : digits * power_of_ten(exponent));
}

/* Returns the whole number next to v, which is not negative; of two as near, the even one, as printf and Go write numbers. */
inline int64_t rounded(double v) {
	int64_t below = (int64_t)v;
	double rest = v - (double)below;
	return below + (rest > 0.5 || (rest == 0.5 && (below & 1)));
}

TDM_NOINLINE inline text &text::add(float v) {
	if (v != v || v - v != 0) return add("null");
	if (v < 0) add('-'), v = -v;
	if (v == 0) return add('0');
	int exponent = 0; /* of ten, of the first digit */
	for (double d = v; d >= 10; d /= 10) exponent++;
	for (double d = v; d < 1; d *= 10) exponent--;
	int64_t digits = 0;
	int count = 0;
	do { /* nine digits tell any two floats apart */
		int shift = count++ - exponent;
		double scaled = shift < 0 ? v / power_of_ten(-shift) : v * power_of_ten(shift);
		digits = rounded(scaled);
	} while (count < 9 && float_of((double)digits, exponent - count + 1) != v);
	text mantissa;
	mantissa.add(digits);
	if (mantissa.n > (size_t)count) exponent++; /* 9.99 rounded to 10 */
	while (mantissa.n > 1 && mantissa.ptr[mantissa.n - 1] == '0') mantissa.n--;
	if (exponent < -6 || exponent > 20) {
		add(mantissa.ptr[0]);
		if (mantissa.n > 1) add('.').add(mantissa.view().from(1));
		return add(exponent < 0 ? "e-" : "e+").add(exponent > -10 && exponent < 10 ? "0" : "").add((int64_t)(exponent < 0 ? -exponent : exponent));
	}
	if (exponent < 0) {
		add("0.");
		for (int i = -1; i > exponent; i--) add('0');
		return add(mantissa.view());
	}
	for (size_t i = 0; i < mantissa.n || i <= (size_t)exponent; i++) {
		if (i == (size_t)exponent + 1) add('.');
		add(i < mantissa.n ? mantissa.ptr[i] : '0');
	}
	return *this;
}

/* Writes one JSON document, with the commas that it needs: w.begin('{').key("a").value(1).end('}'). */
struct json_writer {
	text out;
	bool first = true;

	TDM_NOINLINE json_writer &begin(char bracket) {
		separate();
		out.add(bracket);
		first = true;
		return *this;
	}
	TDM_NOINLINE json_writer &end(char bracket) {
		out.add(bracket);
		first = false;
		return *this;
	}
	TDM_NOINLINE json_writer &key(string_view name) {
		separate();
		quote(name);
		out.add(':');
		first = true;
		return *this;
	}
	TDM_NOINLINE json_writer &value(string_view s) {
		separate();
		quote(s);
		return *this;
	}
	json_writer &value(const char *s) { return value(string_view(s)); }
	json_writer &value(bool b) { return raw(b ? "true" : "false"); }
	json_writer &value(int64_t v) {
		separate();
		out.add(v);
		return *this;
	}
	json_writer &value(int32_t v) { return value((int64_t)v); }
	json_writer &value(uint32_t v) { return value((int64_t)v); }
	json_writer &value(float v) {
		separate();
		out.add(v);
		return *this;
	}
	/* Adds a value that is JSON already. */
	TDM_NOINLINE json_writer &raw(string_view json) {
		separate();
		out.add(json);
		return *this;
	}
	tdm::json json() const { return {out.view()}; }

private:
	void separate() {
		if (!first) out.add(',');
		first = false;
	}
	TDM_NOINLINE void quote(string_view s) {
		constexpr char hex[] = "0123456789abcdef";
		out.add('"');
		for (char c : s) {
			if (c == '"' || c == '\\') out.add('\\').add(c);
			else if (c == '\n') out.add("\\n");
			else if ((uint8_t)c < 0x20) out.add("\\u00").add(hex[(uint8_t)c >> 4]).add(hex[c & 15]);
			else out.add(c);
		}
		out.add('"');
	}
};

} // namespace tdm

#endif
