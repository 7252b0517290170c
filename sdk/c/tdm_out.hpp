/* tdm_out.hpp - the outputs of a function in C++. What is not given a value is an error, but for an optional output. */
#ifndef TDM_OUT_HPP
#define TDM_OUT_HPP

#include "tdm_types.hpp"

namespace tdm {

/* An output of a simple type: a number, string_view, json, bytes, image, any_tensor. Assign to it. */
template <class T> struct out {
	T value{};
	bool present = false;

	out &operator=(T v) {
		value = v;
		present = true;
		return *this;
	}
};

/* A tensor. */
template <class T> struct out<tensor<T>> {
	tensor<T> value{};
	bool present = false;
	span<uint8_t> buffer; /* of the server, where the size follows from the inputs */

	/* Makes room for a tensor and returns its elements to be written, which are not cleared. Where the server gave a buffer it
	   is that one, and nothing is copied afterwards. A shape with a negative dimension is refused when the call ends. */
	span<T> make(const tdm::shape &s) {
		int64_t n = s.count();
		present = true;
		value.shape = s;
		if (n < 0) n = 0;
		if (!buffer.empty() && buffer.size() == (uint64_t)n * sizeof(T)) value.data = {reinterpret_cast<T *>(buffer.data()), (size_t)n};
		else value.data = take<T>((size_t)n);
		return value.data;
	}
	/* Hands a tensor on without a copy. Its elements must stay as they are until the call is over. */
	out &operator=(tensor<const T> t) {
		value = {t.shape, {const_cast<T *>(t.data.data()), t.data.size()}};
		present = true;
		return *this;
	}
};

/* A list: make it, then give each item its value. */
template <class T> struct out<list<T>> {
	span<out<T>> value;
	bool present = false;

	span<out<T>> make(size_t count) {
		value = take<out<T>>(count);
		for (out<T> &item : value) item = out<T>{};
		present = true;
		return value;
	}
	/* Hands values on without a copy. */
	template <class U> out &operator=(list<U> values) {
		make(values.size());
		for (size_t i = 0; i < values.size(); i++) value[i] = values[i];
		return *this;
	}
};

/* An output that may stay without a value. */
template <class T> struct out<optional<T>> : out<T> {
	out &operator=(optional<T> v) {
		if (v) out<T>::operator=(*v);
		return *this;
	}
};
template <class T> struct out<optional<tensor<T>>> : out<tensor<T>> {
	out &operator=(optional<tensor<const T>> v) {
		if (v) out<tensor<T>>::operator=(*v);
		return *this;
	}
};

} // namespace tdm

#endif
