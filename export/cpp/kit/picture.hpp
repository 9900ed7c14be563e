// Pictures: PPM and PGM files, colours, and resizing bit for bit as Pillow does it (its src/libImaging/Resample.c).
#pragma once

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mapped.hpp"

namespace edgesft {

/// Pixels of 8 bits, row by row, channels of a pixel beside each other.
struct Picture {
    int height = 0, width = 0, channels = 0;
    std::vector<std::uint8_t> pixels;

    Picture() = default;
    Picture(int height, int width, int channels)
        : height(height), width(width), channels(channels),
          pixels(static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * static_cast<std::size_t>(channels)) {}

    std::uint8_t& at(int row, int column, int channel) { return pixels[place(row, column, channel)]; }
    std::uint8_t at(int row, int column, int channel) const { return pixels[place(row, column, channel)]; }

  private:
    std::size_t place(int row, int column, int channel) const {
        return (static_cast<std::size_t>(row) * static_cast<std::size_t>(width) + static_cast<std::size_t>(column)) *
                   static_cast<std::size_t>(channels) +
               static_cast<std::size_t>(channel);
    }
};

/// The pixels of a PPM or PGM file of 8 bits (netpbm's format, binary). Throws BadInput where it is none.
inline Picture picture_in(const std::string& path) {
    Mapped file(path);
    std::string_view data = file.view();
    auto fail = [&] { throw BadInput("file must be a PPM or PGM of 8 bits, got '" + path + "': decode others before"); };
    bool colour = data.substr(0, 2) == "P6";
    if (!colour && data.substr(0, 2) != "P5") fail();
    std::size_t at = 2;
    std::array<long, 3> fields{};
    for (long& field : fields) {
        while (at < data.size() && (std::isspace(static_cast<unsigned char>(data[at])) || data[at] == '#')) {
            at = data[at] == '#' ? std::min(data.find('\n', at), data.size()) : at + 1;
        }
        for (; at < data.size() && std::isdigit(static_cast<unsigned char>(data[at])); ++at) {
            field = std::min(field * 10 + (data[at] - '0'), 1L << 20);
        }
    }
    if (++at > data.size() || fields[0] < 1 || fields[1] < 1 || fields[0] * fields[1] > 1L << 28 || fields[2] != 255) fail();
    Picture found(static_cast<int>(fields[1]), static_cast<int>(fields[0]), colour ? 3 : 1);
    if (data.size() - at < found.pixels.size()) fail();
    std::copy_n(data.begin() + static_cast<std::ptrdiff_t>(at), found.pixels.size(), found.pixels.begin());
    return found;
}

/// Pixels of another number of channels, as Pillow converts them.
///
/// Args:
///     colour: RGB, BGR or L.
inline Picture coloured(const Picture& given, std::string_view colour) {
    int channels = colour == "L" ? 1 : 3;
    Picture found(given.height, given.width, channels);
    for (int row = 0; row < given.height; ++row) {
        for (int column = 0; column < given.width; ++column) {
            auto own = [&](int channel) -> unsigned { return given.at(row, column, given.channels == 1 ? 0 : channel); };
            // ITU-R 601-2 in 16 bits behind the point (Pillow's src/libImaging/Convert.c).
            unsigned grey = given.channels == 1 ? own(0) : (own(0) * 19595 + own(1) * 38470 + own(2) * 7471 + 0x8000) >> 16;
            for (int channel = 0; channel < channels; ++channel) {
                unsigned value = channels == 1 ? grey : own(colour == "BGR" ? 2 - channel : channel);
                found.at(row, column, channel) = static_cast<std::uint8_t>(value);
            }
        }
    }
    return found;
}

namespace resizing {

/// Bits behind the point of a weight: 8 are a pixel's, and 2 are left for what a sum may exceed.
constexpr int BITS = 32 - 8 - 2;

constexpr double PI = 3.14159265358979323846;

/// A filter: how far it reaches, and its curve.
struct Filter {
    std::string_view name;
    double reach;
    double (*curve)(double);
};

inline double sinc(double x) { return x == 0.0 ? 1.0 : std::sin(x * PI) / (x * PI); }

constexpr Filter FILTERS[] = {
    {"box", 0.5, [](double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }},
    {"bilinear", 1.0, [](double x) { return std::abs(x) < 1.0 ? 1.0 - std::abs(x) : 0.0; }},
    {"hamming", 1.0,
     [](double x) {
         x = std::abs(x);
         if (x == 0.0) return 1.0;
         if (x >= 1.0) return 0.0;
         x *= PI;
         return std::sin(x) / x * (0.54 + 0.46 * std::cos(x));
     }},
    {"bicubic", 2.0,
     [](double x) {
         constexpr double a = -0.5;
         x = std::abs(x);
         if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
         return x < 2.0 ? (((x - 5) * x + 8) * x - 4) * a : 0.0;
     }},
    {"lanczos", 3.0, [](double x) { return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0; }},
};

/// What counts for one pixel: the first one, and the weights of it and those behind it.
struct Window {
    int first;
    std::vector<std::int32_t> weights;
};

inline std::vector<Window> windows(int size, int wanted, const Filter& filter) {
    double scale = static_cast<double>(size) / wanted, stretch = std::max(scale, 1.0), reach = filter.reach * stretch;
    std::vector<Window> found;
    for (int index = 0; index < wanted; ++index) {
        double centre = (index + 0.5) * scale, total = 0.0;
        int first = std::max(0, static_cast<int>(centre - reach + 0.5));
        int last = std::min(size, static_cast<int>(centre + reach + 0.5));
        std::vector<double> own;
        for (int place = 0; place < last - first; ++place) {
            own.push_back(filter.curve((place + first - centre + 0.5) * (1.0 / stretch)));
            total += own.back();
        }
        Window window{first, {}};
        for (double weight : own) {
            double share = (total != 0.0 ? weight / total : weight) * (1 << BITS);
            window.weights.push_back(static_cast<std::int32_t>(share < 0 ? share - 0.5 : share + 0.5));
        }
        found.push_back(std::move(window));
    }
    return found;
}

/// Resized along the rows, or along the columns.
inline Picture along(const Picture& given, bool rows, int wanted, const Filter& filter) {
    std::vector<Window> all = windows(rows ? given.height : given.width, wanted, filter);
    Picture found(rows ? wanted : given.height, rows ? given.width : wanted, given.channels);
    for (int row = 0; row < found.height; ++row) {
        for (int column = 0; column < found.width; ++column) {
            const Window& window = all[static_cast<std::size_t>(rows ? row : column)];
            for (int channel = 0; channel < found.channels; ++channel) {
                std::int32_t sum = 1 << (BITS - 1);
                for (int place = 0; place < static_cast<int>(window.weights.size()); ++place) {
                    int taken = window.first + place;
                    std::uint8_t pixel = rows ? given.at(taken, column, channel) : given.at(row, taken, channel);
                    sum += pixel * window.weights[static_cast<std::size_t>(place)];
                }
                found.at(row, column, channel) = static_cast<std::uint8_t>(std::clamp(sum >> BITS, 0, 255));
            }
        }
    }
    return found;
}

/// Which pixel each of the wanted ones is: sums of a step, rounded as Pillow rounds them.
inline std::vector<int> nearest(int size, int wanted) {
    double step = static_cast<double>(size) / wanted, place = step * 0.5;
    std::vector<int> found;
    for (int index = 0; index < wanted; ++index, place += step) found.push_back(std::min(static_cast<int>(place), size - 1));
    return found;
}

}  // namespace resizing

/// The same picture in another size.
///
/// Args:
///     resample: Pillow's name of the filter in lower case.
inline Picture resized(const Picture& given, int height, int width, std::string_view resample) {
    using namespace resizing;
    if (given.height == height && given.width == width) return given;
    if (resample == "nearest") {
        std::vector<int> rows = nearest(given.height, height), columns = nearest(given.width, width);
        Picture found(height, width, given.channels);
        for (int row = 0; row < height; ++row) {
            for (int column = 0; column < width; ++column) {
                for (int channel = 0; channel < given.channels; ++channel) {
                    found.at(row, column, channel) =
                        given.at(rows[static_cast<std::size_t>(row)], columns[static_cast<std::size_t>(column)], channel);
                }
            }
        }
        return found;
    }
    auto filter = std::find_if(std::begin(FILTERS), std::end(FILTERS), [&](const Filter& each) { return each.name == resample; });
    if (filter == std::end(FILTERS)) throw Broken("contract.json: there is no filter '" + std::string(resample) + "'");
    // What is rounded between the two passes makes a difference: Pillow 13 takes rows first where they become far fewer.
    bool rows_first = given.height - height > std::max(0, 2 * (given.width - width));
    Picture found = given;
    for (bool rows : {rows_first, !rows_first}) {
        int wanted = rows ? height : width;
        if ((rows ? found.height : found.width) != wanted) found = along(found, rows, wanted, *filter);
    }
    return found;
}

/// The centre; what lies outside of the picture is black.
inline Picture cropped(const Picture& given, int height, int width) {
    // Rounded down, also where the picture is the smaller one.
    auto half = [](int difference) { return difference >> 1; };
    int top = half(given.height - height), left = half(given.width - width);
    Picture found(height, width, given.channels);
    for (int row = std::max(0, -top); row < height && row + top < given.height; ++row) {
        for (int column = std::max(0, -left); column < width && column + left < given.width; ++column) {
            for (int channel = 0; channel < given.channels; ++channel) {
                found.at(row, column, channel) = given.at(row + top, column + left, channel);
            }
        }
    }
    return found;
}

}  // namespace edgesft
