// What Linux, Android and iOS tell of the machine, and what may slow it just now. Null where they do not tell.
#pragma once

#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#ifdef __ANDROID__
#include <sys/system_properties.h>
#endif
#ifdef __APPLE__
#include <os/proc.h>
#include <sys/sysctl.h>
#endif

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "json.hpp"

namespace edgesft {

namespace fs = std::filesystem;

/// Instruction sets that decide how fast a model runs, as Linux names them in /proc/cpuinfo.
constexpr const char* INSTRUCTIONS[] = {
    "avx2",        "fma",         "f16c",     "avx512f",  "avx512bw", "avx512_vnni", "avx_vnni", "avx_vnni_int8",
    "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16", "asimd",       "asimdhp",  "asimddp",
    "i8mm",        "bf16",        "sve",      "sve2",
};

/// The text of a file without blanks around it; nothing where it cannot be read or is empty.
inline std::optional<std::string> text_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(file), {}};
    // Device-tree strings end in a zero byte.
    constexpr std::string_view blanks("\0\n ", 3);
    std::size_t begin = text.find_first_not_of(blanks);
    if (begin == std::string::npos) return std::nullopt;
    return text.substr(begin, text.find_last_not_of(blanks) + 1 - begin);
}

inline std::optional<std::int64_t> number_of(const fs::path& path) {
    std::string text = text_of(path).value_or("");
    bool digits = !text.empty() && text.find_first_not_of("0123456789", text[0] == '-') == std::string::npos;
    return digits && text != "-" ? std::optional<std::int64_t>(std::strtoll(text.c_str(), nullptr, 10)) : std::nullopt;
}

/// Files and folders of a folder whose names are this word and a number (and what follows it), in order.
inline std::vector<fs::path> numbered(const fs::path& folder, std::string_view word) {
    std::vector<fs::path> found;
    std::error_code error;
    for (fs::directory_iterator each(folder, error), end; !error && each != end; each.increment(error)) {
        std::string name = each->path().filename().string();
        bool fits = name.size() > word.size() && name.compare(0, word.size(), word) == 0;
        if (fits && name[word.size()] >= '0' && name[word.size()] <= '9') found.push_back(each->path());
    }
    std::sort(found.begin(), found.end());
    return found;
}

/// The first value of a file of lines `name: value`, such as /proc/meminfo; nothing where the name is missing.
inline std::optional<std::string> value_in(const fs::path& path, std::string_view name) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        std::size_t colon = line.find(':');
        if (colon == std::string::npos) continue;
        std::size_t end = line.find_last_not_of(" \t", colon - (colon > 0)) + 1;
        if (std::string_view(line).substr(0, std::min(end, colon)) != name) continue;
        std::size_t begin = line.find_first_not_of(" \t", colon + 1);
        if (begin == std::string::npos) return std::nullopt;
        return line.substr(begin, line.find_last_not_of(" \t") + 1 - begin);
    }
    return std::nullopt;
}

/// Bytes of a line that counts kB.
inline std::optional<std::int64_t> bytes_in(const fs::path& path, std::string_view name) {
    std::optional<std::string> value = value_in(path, name);
    return value ? std::optional<std::int64_t>(std::strtoll(value->c_str(), nullptr, 10) * 1024) : std::nullopt;
}

inline std::optional<std::string> either(std::optional<std::string> first, std::optional<std::string> second) {
    return first ? first : second;
}

#ifdef __ANDROID__
inline std::optional<std::string> property(const char* name) {
    char value[PROP_VALUE_MAX] = "";
    return __system_property_get(name, value) > 0 ? std::optional<std::string>(value) : std::nullopt;
}
#endif

#ifdef __APPLE__
inline std::optional<std::int64_t> system_number(const char* name) {
    std::int64_t value = 0;
    std::size_t size = sizeof value;
    return sysctlbyname(name, &value, &size, nullptr, 0) == 0 ? std::optional(value) : std::nullopt;
}
#endif

inline std::int64_t cores() {
#ifdef __linux__
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    return std::max(1U, std::thread::hardware_concurrency());
}

inline Json instructions(const fs::path& root) {
    fs::path file = root / "proc/cpuinfo";
    std::string flags = " " + either(value_in(file, "flags"), value_in(file, "Features")).value_or("") + " ";
    Json::List found;
    for (const char* name : INSTRUCTIONS) {
        if (flags.find(" " + std::string(name) + " ") != std::string::npos) found.push_back(name);
    }
    return found;
}

/// The largest cache of the first core, which Linux gives as `32768K`.
inline std::optional<std::int64_t> cache_bytes(const fs::path& root) {
    std::optional<std::int64_t> largest;
    for (const fs::path& folder : numbered(root / "sys/devices/system/cpu/cpu0/cache", "index")) {
        std::string size = text_of(folder / "size").value_or("");
        bool fits = size.size() > 1 && size.find_first_not_of("0123456789") == size.size() - 1 && size.back() == 'K';
        if (fits) largest = std::max<std::int64_t>(largest.value_or(0), std::strtoll(size.c_str(), nullptr, 10) * 1024);
    }
    return largest;
}

/// What identifies this machine.
///
/// Args:
///     root: Where the system's `proc` and `sys` lie.
inline Json::Map machine(const fs::path& root = "/") {
    utsname system{};
    uname(&system);
    fs::path cpu = root / "proc/cpuinfo";
#ifdef __ANDROID__
    std::string name = "Android", architecture = system.machine;
    std::optional<std::string> model = property("ro.product.model"), board = property("ro.board.platform");
#elif defined(__APPLE__)
    // Where others name the processor, iOS names the device: iPhone15,2.
    std::string name = "iOS", architecture = "arm64";
    std::optional<std::string> model = std::string(system.machine), board;
#else
    std::string name = system.sysname, architecture = system.machine;
    std::optional<std::string> model = either(value_in(cpu, "model name"), value_in(cpu, "Model"));
    std::optional<std::string> board =
        either(text_of(root / "proc/device-tree/model"), text_of(root / "sys/class/dmi/id/product_name"));
#endif
#ifdef __APPLE__
    std::optional<std::int64_t> memory = system_number("hw.memsize");
#else
    std::optional<std::int64_t> memory = bytes_in(root / "proc/meminfo", "MemTotal");
#endif
    return {
        {"architecture", architecture},
        {"system", name},
        {"model", model},
        {"board", board},
        {"cores", cores()},
        {"instructions", instructions(root)},
        {"governor", text_of(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")},
        {"memory_bytes", memory},
        {"cache_bytes", cache_bytes(root)},
        {"kernel", system.release},
        {"python", nullptr},
        {"onnxruntime", nullptr},  // a library does not tell which package it came in
    };
}

/// Numbers in a file of each numbered folder.
inline std::vector<std::int64_t> numbers(const fs::path& folder, std::string_view word, const char* file) {
    std::vector<std::int64_t> found;
    for (const fs::path& each : numbered(folder, word)) {
        if (auto number = number_of(each / file)) found.push_back(*number);
    }
    return found;
}

/// Bytes that programs may still take; nothing where the system does not tell.
inline std::optional<std::int64_t> memory_free(const fs::path& root = "/") {
#ifdef __APPLE__
    return static_cast<std::int64_t>(os_proc_available_memory());
#else
    return bytes_in(root / "proc/meminfo", "MemAvailable");
#endif
}

/// What may slow this machine just now: load average, hottest sensor, fastest core's clock, throttling so far.
inline Json::Map conditions(const fs::path& root = "/") {
    fs::path cpus = root / "sys/devices/system/cpu";
    auto most = [](const std::vector<std::int64_t>& all) {
        return all.empty() ? Json() : Json(*std::max_element(all.begin(), all.end()));
    };
    Json throttles;
    for (std::int64_t each : numbers(cpus, "cpu", "thermal_throttle/core_throttle_count")) {
        throttles = each + (throttles.is_null() ? 0 : *throttles.as<std::int64_t>());
    }
    std::optional<std::string> load = text_of(root / "proc/loadavg");
    return {
        {"load", load ? Json(std::strtod(load->c_str(), nullptr)) : Json()},
        {"temperature_mc", most(numbers(root / "sys/class/thermal", "thermal_zone", "temp"))},
        {"frequency_khz", most(numbers(cpus, "cpu", "cpufreq/scaling_cur_freq"))},
        {"throttles", throttles},
        {"memory_free_bytes", memory_free(root)},
    };
}

/// The most bytes that were resident in this process since it began. `VmHWM` comes first: `ru_maxrss` survives exec.
inline std::int64_t peak_bytes() {
    if (auto peak = bytes_in("/proc/self/status", "VmHWM")) return *peak;
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
    return static_cast<std::int64_t>(usage.ru_maxrss);  // bytes there, thousands of them elsewhere
#else
    return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
#endif
}

}  // namespace edgesft
