// A file in memory, read when it is looked at.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "errors.hpp"

namespace edgesft {

class Mapped {
  public:
    /// Throws BadInput where the file cannot be read.
    explicit Mapped(const std::string& path) {
        int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        struct stat told {};
        bool there = file >= 0 && fstat(file, &told) == 0 && S_ISREG(told.st_mode);
        size_ = there ? static_cast<std::size_t>(told.st_size) : 0;
        void* data = size_ ? mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0) : nullptr;
        if (file >= 0) close(file);
        if (!there || data == MAP_FAILED) throw BadInput("a file that can be read must be '" + path + "'");
        data_ = static_cast<const char*>(data);
    }

    Mapped(const Mapped&) = delete;
    Mapped& operator=(const Mapped&) = delete;

    ~Mapped() {
        if (data_) munmap(const_cast<char*>(data_), size_);
    }

    std::string_view view() const { return {data_, size_}; }

  private:
    const char* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace edgesft
