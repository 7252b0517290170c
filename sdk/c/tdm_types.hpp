/*
 * tdm_types.hpp - the values of a Tandem plugin in C++: spans, texts, shapes, tensors, results. No C++ library is needed, and
 * everything here is the same natively, so that functions over these types are tested with any compiler.
 *
 * Memory that comes from tdm::take is never freed: unless the plugin is stateful, each call finds the memory as it was
 * before the first one. One instance runs one call at a time.
 */
#ifndef TDM_TYPES_HPP
#define TDM_TYPES_HPP

#include <stddef.h>
#include <stdint.h>

#ifdef __wasm__
#include "tandem.h"
#else
#include <stdlib.h>
#endif

namespace tdm {

/* Ends the call: what is left of it cannot be answered. */
[[noreturn]] inline void out_of_memory() {
#ifdef __wasm__
	tdm_log(TDM_ERR, "out of memory");
#endif
	__builtin_trap();
}

/* Returns size bytes at a multiple of 64, which are not cleared. Where there are none the call ends. */
inline void *take_bytes(size_t size) {
#ifdef __wasm__
	void *p = tdm_take(size ? (uint32_t)size : 1, 64);
#else
	void *p = aligned_alloc(64, (size / 64 + 1) * 64);
#endif
	if (!p) out_of_memory();
	return p;
}

/* ---- spans and texts ---------------------------------------------------------------------------------------------- */

/* A view of size() elements that somebody else keeps. */
template <class T> struct span {
	T *ptr = nullptr;
	size_t n = 0;

	constexpr span() = default;
	constexpr span(T *data, size_t size) : ptr(data), n(size) {}
	template <size_t N> constexpr span(T (&array)[N]) : ptr(array), n(N) {}
	constexpr operator span<const T>() const { return {ptr, n}; }

	constexpr T *data() const { return ptr; }
	constexpr size_t size() const { return n; }
	constexpr bool empty() const { return n == 0; }
	constexpr T &operator[](size_t i) const { return ptr[i]; }
	constexpr T *begin() const { return ptr; }
	constexpr T *end() const { return ptr + n; }
	constexpr span first(size_t count) const { return {ptr, count}; }
	constexpr span from(size_t at) const { return {ptr + at, n - at}; }
};

/* Returns memory for count elements, which are not cleared. Where there is none the call ends. */
template <class T> span<T> take(size_t count) {
	if (count > UINT32_MAX / sizeof(T)) out_of_memory();
	return {static_cast<T *>(take_bytes(count * sizeof(T))), count};
}

/* A text of size() bytes that somebody else keeps; there is no zero at its end. */
struct string_view {
	const char *ptr = "";
	size_t n = 0;

	constexpr string_view() = default;
	constexpr string_view(const char *data, size_t size) : ptr(data), n(size) {}
	constexpr string_view(const char *text) : ptr(text) {
		while (text[n]) n++;
	}

	constexpr const char *data() const { return ptr; }
	constexpr size_t size() const { return n; }
	constexpr bool empty() const { return n == 0; }
	constexpr char operator[](size_t i) const { return ptr[i]; }
	constexpr const char *begin() const { return ptr; }
	constexpr const char *end() const { return ptr + n; }
	constexpr string_view first(size_t count) const { return {ptr, count}; }
	constexpr string_view from(size_t at) const { return {ptr + at, n - at}; }
};

constexpr bool operator==(string_view a, string_view b) {
	if (a.n != b.n) return false;
	for (size_t i = 0; i < a.n; i++)
		if (a.ptr[i] != b.ptr[i]) return false;
	return true;
}
constexpr bool operator!=(string_view a, string_view b) { return !(a == b); }

/* ---- results ------------------------------------------------------------------------------------------------------ */

/* Why something failed: a text, which must last as long as the call. */
struct error {
	string_view text;
	constexpr explicit error(string_view what) : text(what) {}
};

/* A value, or why there is none. */
template <class T> struct result {
	T good{};
	tdm::error bad{""};
	bool is_good = true;

	constexpr result(T value) : good(value) {}
	constexpr result(tdm::error e) : bad(e), is_good(false) {}
	constexpr explicit operator bool() const { return is_good; }
	constexpr T &operator*() { return good; }
	constexpr T *operator->() { return &good; }
	constexpr tdm::error error() const { return bad; }
};

/* What a function returns: nothing is wrong, an error, or an outcome from 1 to 255 that it declares. */
template <> struct result<void> {
	int outcome = 0;
	tdm::error bad{""};
	bool is_good = true;

	constexpr result() = default;
	constexpr result(tdm::error e) : bad(e), is_good(false) {}
	constexpr explicit operator bool() const { return is_good; }
	constexpr tdm::error error() const { return bad; }
};

using status = result<void>;
constexpr status ok{};

/* Ends the call with an outcome: return tdm::outcome(7). */
constexpr status outcome(int code) {
	status s;
	s.outcome = code;
	return s;
}

/* Declares name with what expression gives, or returns its error: TDM_TRY(m, ctx.model("detector")); */
#define TDM_TRY(name, expression)                    \
	auto name##_or = (expression);               \
	if (!name##_or) return name##_or.error();    \
	auto name = *name##_or

/* A value or none. */
template <class T> struct optional {
	T value{};
	bool present = false;

	constexpr optional() = default;
	constexpr optional(T v) : value(v), present(true) {}
	constexpr explicit operator bool() const { return present; }
	constexpr const T &operator*() const { return value; }
	constexpr const T *operator->() const { return &value; }
	constexpr T value_or(T other) const { return present ? value : other; }
};

/* ---- tensors ------------------------------------------------------------------------------------------------------ */

/* Dimensions, at most 8; none is a scalar. */
struct shape {
	int64_t dims[8] = {};
	uint32_t rank = 0;

	constexpr shape() = default;
	template <class... D> constexpr shape(int64_t first, D... more) : dims{first, (int64_t)more...}, rank(1 + sizeof...(D)) {
		static_assert(sizeof...(D) < 8, "a tensor has at most 8 dimensions");
	}
	static shape of(uint32_t rank, const int64_t *dims) {
		shape s;
		s.rank = rank;
		for (uint32_t i = 0; i < rank && i < 8; i++) s.dims[i] = dims[i];
		return s;
	}

	constexpr int64_t operator[](size_t i) const { return dims[i]; }
	constexpr int64_t &operator[](size_t i) { return dims[i]; }
	/* The number of elements; -1 when a dimension is negative or memory cannot hold them. */
	constexpr int64_t count() const {
		int64_t n = 1;
		for (uint32_t i = 0; i < rank; i++) {
			if (dims[i] < 0 || (dims[i] > 0 && n > (int64_t)UINT32_MAX / dims[i])) return -1;
			n *= dims[i];
		}
		return n;
	}
};

/* A number of 16 bits as IEEE 754 has it, and one that is the upper half of a float. */
struct f16 { uint16_t bits; };
struct bf16 { uint16_t bits; };

/* Element types, numbered as in ONNX. */
enum class dtype : uint8_t {
	none = 0, fp32 = 1, uint8, int8, uint16, int16, int32, int64, bytes, boolean, fp16, fp64, uint32, uint64, bf16 = 16
};

/* The element type that T stands for, none when it is no element. */
template <class T> constexpr dtype dtype_of = dtype::none;
template <class T> constexpr dtype dtype_of<const T> = dtype_of<T>;
template <> inline constexpr dtype dtype_of<float> = dtype::fp32;
template <> inline constexpr dtype dtype_of<double> = dtype::fp64;
template <> inline constexpr dtype dtype_of<uint8_t> = dtype::uint8;
template <> inline constexpr dtype dtype_of<int8_t> = dtype::int8;
template <> inline constexpr dtype dtype_of<uint16_t> = dtype::uint16;
template <> inline constexpr dtype dtype_of<int16_t> = dtype::int16;
template <> inline constexpr dtype dtype_of<int32_t> = dtype::int32;
template <> inline constexpr dtype dtype_of<int64_t> = dtype::int64;
template <> inline constexpr dtype dtype_of<uint32_t> = dtype::uint32;
template <> inline constexpr dtype dtype_of<uint64_t> = dtype::uint64;
template <> inline constexpr dtype dtype_of<bool> = dtype::boolean;
template <> inline constexpr dtype dtype_of<f16> = dtype::fp16;
template <> inline constexpr dtype dtype_of<bf16> = dtype::bf16;
template <> inline constexpr dtype dtype_of<string_view> = dtype::bytes;

/* Elements in row-major order: float and so on, or string_view. Those of an input are const, and gone after the call. */
template <class T> struct tensor {
	tdm::shape shape;
	span<T> data;

	constexpr T &operator[](size_t i) const { return data[i]; }
	constexpr size_t size() const { return data.size(); }
	constexpr operator tensor<const T>() const { return {shape, data}; }
};

/* A tensor whose element type is known only when the function runs. The bytes of strings are uint32_t offsets[n+1], then theirs. */
struct any_tensor {
	dtype type = dtype::none;
	tdm::shape shape;
	span<const uint8_t> data;
	uint32_t handle = 0; /* of a model's answer that stays in the server */

	/* The elements; none when they are of another type. */
	template <class T> optional<tensor<const T>> as() const {
		if (dtype_of<T> != type || handle) return {};
		if constexpr (dtype_of<T> == dtype::bytes) {
			return tensor<const T>{shape, strings()};
		} else {
			return tensor<const T>{shape, {reinterpret_cast<const T *>(data.data()), data.size() / sizeof(T)}};
		}
	}

private:
	span<const string_view> strings() const {
		span<string_view> out = take<string_view>((size_t)shape.count());
		const uint32_t *offsets = reinterpret_cast<const uint32_t *>(data.data());
		const char *text = reinterpret_cast<const char *>(offsets + out.size() + 1);
		for (size_t i = 0; i < out.size(); i++) out[i] = {text + offsets[i], offsets[i + 1] - offsets[i]};
		return out;
	}
};

/* Writes strings as any_tensor has them. */
inline span<const uint8_t> encode(span<const string_view> strings) {
	size_t total = 4 * (strings.size() + 1), at = 0;
	for (string_view s : strings) total += s.size();
	span<uint8_t> out = take<uint8_t>(total);
	uint32_t *offsets = reinterpret_cast<uint32_t *>(out.data());
	uint8_t *text = out.data() + 4 * (strings.size() + 1);
	for (size_t i = 0; i < strings.size(); i++) {
		offsets[i] = (uint32_t)at;
		__builtin_memcpy(text + at, strings[i].data(), strings[i].size());
		at += strings[i].size();
	}
	offsets[strings.size()] = (uint32_t)at;
	return out;
}

/* Returns t without its element type, over the same data but for strings. */
template <class T> any_tensor any(tensor<T> t) {
	if constexpr (dtype_of<T> == dtype::bytes) return {dtype_of<T>, t.shape, encode(t.data)};
	else return {dtype_of<T>, t.shape, {reinterpret_cast<const uint8_t *>(t.data.data()), t.data.size() * sizeof(T)}};
}

/* One JSON document, bytes of any kind, an encoded image. A tensor<const uint8_t> of shape "h w 3" receives images decoded. */
struct json { string_view text; };
struct bytes { span<const uint8_t> data; };
struct image { span<const uint8_t> data; };

/* Values of one type. */
template <class T> struct list {
	span<const T> items;

	constexpr size_t size() const { return items.size(); }
	constexpr const T &operator[](size_t i) const { return items[i]; }
	constexpr const T *begin() const { return items.begin(); }
	constexpr const T *end() const { return items.end(); }
};

} // namespace tdm

#endif
