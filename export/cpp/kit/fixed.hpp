// Models whose free axes were given sizes: what they are fed is padded to those, and what they answer is cut back.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "errors.hpp"
#include "fields.hpp"
#include "npz.hpp"

namespace edgesft {

/// An array of another shape: of each axis the smaller of both sizes is kept, and zeros are what is more.
inline Array reshaped(const Array& array, const std::vector<std::int64_t>& shape) {
    Array found{array.dtype, shape, {}, {}};
    std::size_t width = array.dtype.bytes, count = elements(shape);
    found.bytes.assign(count * width, 0);
    std::vector<std::int64_t> at(shape.size(), 0);
    for (std::size_t index = 0; index < count; ++index) {
        std::size_t from = 0;
        bool inside = true;
        for (std::size_t axis = 0; axis < shape.size(); ++axis) {
            inside = inside && at[axis] < array.shape[axis];
            from = from * static_cast<std::size_t>(array.shape[axis]) + static_cast<std::size_t>(at[axis]);
        }
        if (inside) std::copy_n(&array.bytes[from * width], width, &found.bytes[index * width]);
        for (std::size_t axis = shape.size(); axis-- > 0 && ++at[axis] == shape[axis];) at[axis] = 0;
    }
    return found;
}

class Fixed {
  public:
    /// Args:
    ///     said: `fixed` of a variant.
    explicit Fixed(const Fields& said) {
        if (said.members().empty()) return;
        Fields sizes = said.object("sizes");
        for (const auto& [name, size] : sizes.members()) sizes_[name] = sizes.whole(name, 1);
        for (auto [kind, target] : {std::pair("inputs", &inputs_), std::pair("outputs", &outputs_)}) {
            Fields places = said.object(kind);
            for (const auto& [name, axes] : places.members()) {
                for (const auto& [axis, called] : places.texts(name)) (*target)[name][std::stoul(axis)] = called;
            }
        }
    }

    /// Feeds with zeros behind what they are. Throws BadInput where one is longer than the model takes.
    Arrays padded(const Arrays& feeds) const {
        Arrays found;
        for (const auto& [name, array] : feeds) {
            std::vector<std::int64_t> shape = array.shape;
            auto axes = inputs_.find(name);
            for (const auto& [axis, called] : axes == inputs_.end() ? Axes() : axes->second) {
                std::int64_t size = sizes_.at(called);
                if (shape.at(axis) > size) {
                    throw BadInput("'" + name + "' must be at most " + std::to_string(size) +
                                   " long, which the model was fixed at, got " + std::to_string(shape[axis]));
                }
                shape[axis] = size;
            }
            found.emplace_back(name, shape == array.shape ? array : reshaped(array, shape));
        }
        return found;
    }

    /// Outputs without what stands for the padding.
    ///
    /// Args:
    ///     feeds: Before they were padded.
    Arrays cut(const Arrays& outputs, const Arrays& feeds) const {
        std::map<std::string, std::int64_t> real;
        for (const auto& [name, array] : feeds) {
            auto axes = inputs_.find(name);
            for (const auto& [axis, called] : axes == inputs_.end() ? Axes() : axes->second) real[called] = array.shape.at(axis);
        }
        Arrays found;
        for (const auto& [name, array] : outputs) {
            std::vector<std::int64_t> shape = array.shape;
            auto axes = outputs_.find(name);
            for (const auto& [axis, called] : axes == outputs_.end() ? Axes() : axes->second) {
                if (real.count(called)) shape.at(axis) = std::min(shape.at(axis), real[called]);
            }
            found.emplace_back(name, shape == array.shape ? array : reshaped(array, shape));
        }
        return found;
    }

  private:
    using Axes = std::map<std::size_t, std::string>;

    std::map<std::string, std::int64_t> sizes_;
    std::map<std::string, Axes> inputs_, outputs_;
};

}  // namespace edgesft
