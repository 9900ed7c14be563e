// ONNX Runtime as a library that is opened while running, so that one program serves every version of it; or, with
// EDGESFT_LINKED, the one that the program was linked with, as applications for iOS are.
#pragma once

#include <dlfcn.h>

#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "machine.hpp"
#include "ort.hpp"
#include "refusal.hpp"

namespace edgesft {

/// What the runtime gave and takes back.
template <typename T>
using Owned = std::unique_ptr<T, void (*)(T*)>;

class Runtime {
  public:
    /// Opens the library at this path, or of this name; of one that is linked the path is not looked at.
    ///
    /// Throws:
    ///     Refusal: It cannot be opened, is no ONNX Runtime, or one that is too old.
    explicit Runtime(const std::string& path) {
        // Otherwise newer runtimes report the model's name and hashes to their maker, for which they keep a thread
        // beside what is measured (Privacy.md in onnxruntime 1.29 and later).
        setenv("ORT_DISABLE_TELEMETRY", "1", 0);
        auto base = opened(path);
        version = base()->GetVersionString();
        api_ = base()->GetApi(API);
        if (!api_) {
            throw Refusal("the runtime must be at least 1." + std::to_string(API) + ", got " + version + " in " + path);
        }
        Dl_info where{};
        if (dladdr(reinterpret_cast<const void*>(base), &where) && where.dli_fname) path_ = where.dli_fname;
        OrtEnv* env = nullptr;
        check(api_->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "edgesft", &env));
        env_ = {env, api_->ReleaseEnv};
        check(api_->GetAllocatorWithDefaultOptions(&allocator));
        OrtMemoryInfo* memory = nullptr;
        check(api_->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &memory));
        memory_ = {memory, api_->ReleaseMemoryInfo};
    }

    const OrtApi* operator->() const { return api_; }
    OrtEnv* env() const { return env_.get(); }
    const OrtMemoryInfo* memory() const { return memory_.get(); }

    /// Throws a Refusal with the runtime's own words where it says that something failed.
    void check(OrtStatus* status) const {
        if (!status) return;
        static constexpr const char* kinds[] = {
            "OK",           "FAIL",        "INVALID_ARGUMENT", "NO_SUCHFILE",  "NO_MODEL",
            "ENGINE_ERROR", "EXCEPTION",   "INVALID_PROTOBUF", "MODEL_LOADED", "NOT_IMPLEMENTED",
            "INVALID_GRAPH", "EP_FAIL",
        };
        std::size_t code = api_->GetErrorCode(status);
        std::string kind = code < std::size(kinds) ? kinds[code] : "error " + std::to_string(code);
        std::string words = api_->GetErrorMessage(status);
        api_->ReleaseStatus(status);
        throw Refusal(kind + ": " + words);
    }

    /// A function of the library; nullptr where it has none of this name.
    template <typename Function>
    Function* symbol(const char* name) const {
        return reinterpret_cast<Function*>(dlsym(library_, name));
    }

    /// A text that the runtime allocated.
    std::string taken(char* text) const {
        std::string kept = text;
        check(api_->AllocatorFree(allocator, text));
        return kept;
    }

    std::vector<std::string> providers() const {
        char** names = nullptr;
        int count = 0;
        check(api_->GetAvailableProviders(&names, &count));
        std::vector<std::string> found(names, names + count);
        check(api_->ReleaseAvailableProviders(names, count));
        return found;
    }

    /// Bytes of the library and of its own ones beside it, each once though links lead to it.
    std::int64_t bytes() const {
        std::error_code error;
        std::set<fs::path> files = {fs::canonical(path_, error)};
        for (fs::directory_iterator each(fs::path(path_).parent_path(), error), end; !error && each != end;
             each.increment(error)) {
            std::string name = each->path().filename().string();
            bool own = name.rfind("libonnxruntime", 0) == 0 && name.find(".so") != std::string::npos;
            if (own) files.insert(fs::canonical(each->path(), error));
        }
        std::int64_t sum = 0;
        for (const fs::path& file : files) {
            auto size = fs::file_size(file, error);
            sum += error ? 0 : static_cast<std::int64_t>(size);
        }
        return sum;
    }

    std::string version;
    OrtAllocator* allocator = nullptr;

  private:
    /// The library's one function by name.
    const OrtApiBase* (*opened(const std::string& path))() {
#ifdef EDGESFT_LINKED
        static_cast<void>(path);
        library_ = RTLD_DEFAULT;
        return OrtGetApiBase;
#else
        library_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (!library_) throw Refusal(std::string("the runtime's library cannot be opened: ") + dlerror());
        auto base = symbol<const OrtApiBase*()>("OrtGetApiBase");
        if (!base) throw Refusal(path + " is no ONNX Runtime: it has no OrtGetApiBase");
        return base;
#endif
    }

    /// The oldest runtime that has all that is called here; newer ones still give these functions.
    static constexpr std::uint32_t API = 21;

    // Never closed: the library's threads may outlive everything here.
    void* library_ = nullptr;
    const OrtApi* api_ = nullptr;
    std::string path_;
    Owned<OrtEnv> env_{nullptr, nullptr};
    Owned<OrtMemoryInfo> memory_{nullptr, nullptr};
};

}  // namespace edgesft
