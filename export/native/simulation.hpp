// What stands in for hardware: its answers are the hardware's, or nearly; its times say nothing.
#pragma once

#include <sys/utsname.h>
#ifdef __APPLE__
#include <TargetConditionals.h>
#endif

#include <cctype>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

namespace edgesft {

/// Libraries that draw and compute on the CPU what a GPU's driver would (SwiftShader, Mesa's lavapipe).
constexpr const char* SOFTWARE[] = {"libvk_swiftshader", "libvulkan_lvp", "libEGL_mesa_swrast"};

/// What stands in for a provider's hardware in this process, after the session was made; nothing where nothing does.
inline std::optional<std::string> simulation(const std::string& provider) {
#if defined(__APPLE__) && TARGET_OS_SIMULATOR
    return "the simulator of iOS, on a Mac";
#endif
    // An emulator of a processor shows programs the files of the one that it emulates, but not through this path.
    std::ifstream file("/proc/thread-self/maps");
    std::string loaded{std::istreambuf_iterator<char>(file), {}};
    utsname system{};
    uname(&system);
    std::string_view architecture = system.machine;
    if (std::size_t at = loaded.find("/qemu-"); at != std::string::npos) {
        std::size_t end = ++at;
        while (end < loaded.size() && (std::isalnum(static_cast<unsigned char>(loaded[end])) || loaded[end] == '_' ||
                                       loaded[end] == '-')) {
            ++end;
        }
        return loaded.substr(at, end - at) + ", which emulates " + std::string(architecture);
    }
    if (provider == "QNNExecutionProvider" && architecture == "x86_64") {
        return "the simulator of the HTP that onnxruntime-qnn brings for x86-64";
    }
    for (const char* name : SOFTWARE) {
        bool found = provider == "WebGpuExecutionProvider" && loaded.find(name) != std::string::npos;
        if (found) return "software in place of a GPU (" + std::string(name) + ")";
    }
    return std::nullopt;
}

}  // namespace edgesft
