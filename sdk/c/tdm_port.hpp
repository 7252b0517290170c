/* tdm_port.hpp - how each type of input and output is described, read from a call and written to it. */
#ifndef TDM_PORT_HPP
#define TDM_PORT_HPP

#include "tdm_out.hpp"
#include "tandem.h"

namespace tdm {

/* What a port of type T is: load reads an input, save writes an output. save returns what is wrong with it, "" for nothing. */
template <class T, class = void> struct port;

struct port_base {
	static constexpr dtype type = dtype::none;
	static constexpr bool is_list = false, is_optional = false, is_scalar = false;
};

inline tdm::shape shape_of(const tdm_value &v) { return tdm::shape::of(v.rank, v.dims); }

inline void save_tensor(tdm_value &v, const any_tensor &t) {
	tdm_set(&v, TDM_TENSOR_KIND, t.data.data(), (uint32_t)t.data.size());
	if (t.handle) {
		v.flags = TDM_HOST_SIDE;
		v.handle = t.handle;
		v.data_ptr = 0;
	}
	v.dtype = (uint8_t)t.type;
	v.rank = (uint8_t)t.shape.rank;
	for (uint32_t i = 0; i < t.shape.rank; i++) v.dims[i] = t.shape.dims[i];
}

/* A number or truth value: a tensor of rank 0. */
template <class T> struct scalar_port : port_base {
	static constexpr const char *kind = "tensor";
	static constexpr dtype type = dtype_of<T>;
	static constexpr bool is_scalar = true;
	static T load(const tdm_value &v) { return *static_cast<const T *>(tdm_data(&v)); }
	static void save(tdm_value &v, const out<T> &o) {
		span<T> memory = take<T>(1);
		memory[0] = o.value;
		save_tensor(v, any(tensor<T>{{}, memory}));
	}
};
template <> struct port<float> : scalar_port<float> {};
template <> struct port<double> : scalar_port<double> {};
template <> struct port<bool> : scalar_port<bool> {};
template <> struct port<int8_t> : scalar_port<int8_t> {};
template <> struct port<int16_t> : scalar_port<int16_t> {};
template <> struct port<int32_t> : scalar_port<int32_t> {};
template <> struct port<int64_t> : scalar_port<int64_t> {};
template <> struct port<uint8_t> : scalar_port<uint8_t> {};
template <> struct port<uint16_t> : scalar_port<uint16_t> {};
template <> struct port<uint32_t> : scalar_port<uint32_t> {};
template <> struct port<uint64_t> : scalar_port<uint64_t> {};

template <> struct port<any_tensor> : port_base {
	static constexpr const char *kind = "tensor";
	static any_tensor load(const tdm_value &v) {
		return {(dtype)v.dtype, shape_of(v), {static_cast<const uint8_t *>(tdm_data(&v)), (size_t)v.data_len}};
	}
	static void save(tdm_value &v, const out<any_tensor> &o) { save_tensor(v, o.value); }
};

template <class T> struct port<tensor<T>> : port_base {
	static constexpr const char *kind = "tensor";
	static constexpr dtype type = dtype_of<T>;
	static tensor<T> load(const tdm_value &v) { return *port<any_tensor>::load(v).template as<T>(); }
	static void save(tdm_value &v, const out<tensor<T>> &o) {
		bool bound = (v.flags & TDM_BOUND) && o.value.data.data() == static_cast<const void *>(tdm_data(&v));
		save_tensor(v, any(o.value));
		if (bound) v.flags = TDM_BOUND;
	}
};

/* Texts and other kinds that are bytes. */
template <> struct port<string_view> : port_base {
	static constexpr const char *kind = "text";
	static string_view load(const tdm_value &v) { return {tdm_text(&v), (size_t)v.data_len}; }
	static void save(tdm_value &v, const out<string_view> &o) { tdm_set(&v, TDM_TEXT_KIND, o.value.data(), (uint32_t)o.value.size()); }
};
template <> struct port<json> : port_base {
	static constexpr const char *kind = "json";
	static json load(const tdm_value &v) { return {port<string_view>::load(v)}; }
	static void save(tdm_value &v, const out<json> &o) { tdm_set(&v, TDM_JSON_KIND, o.value.text.data(), (uint32_t)o.value.text.size()); }
};
template <> struct port<bytes> : port_base {
	static constexpr const char *kind = "bytes";
	static bytes load(const tdm_value &v) { return {{tdm_u8(&v), (size_t)v.data_len}}; }
	static void save(tdm_value &v, const out<bytes> &o) { tdm_set(&v, TDM_BYTES_KIND, o.value.data.data(), (uint32_t)o.value.data.size()); }
};
template <> struct port<image> : port_base {
	static constexpr const char *kind = "image";
	static image load(const tdm_value &v) { return {port<bytes>::load(v).data}; }
	static void save(tdm_value &v, const out<image> &o) { tdm_set(&v, TDM_IMAGE_KIND, o.value.data.data(), (uint32_t)o.value.data.size()); }
};

template <class T> struct port<optional<T>> : port<T> {
	static constexpr bool is_optional = true;
	static optional<T> load(const tdm_value &v) {
		if (tdm_absent(&v)) return {};
		return port<T>::load(v);
	}
};

template <class T> struct port<list<T>> : port<T> {
	static constexpr bool is_list = true;
	static list<T> load(const tdm_value &v) {
		span<T> items = take<T>(v.items);
		for (uint32_t i = 0; i < v.items; i++) items[i] = port<T>::load(*tdm_item(&v, i));
		return {items};
	}
	static void save(tdm_value &v, const out<list<T>> &o) {
		tdm_value *items = tdm_set_list(&v, (uint32_t)o.value.size());
		if (!items) out_of_memory();
		for (size_t i = 0; i < o.value.size(); i++) port<T>::save(items[i], o.value[i]);
	}
};

} // namespace tdm

#endif
