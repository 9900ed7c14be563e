// A bundle's files: a folder or an archive, whole before anything in it is parsed (export/BUNDLE.md).
#pragma once

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "archive.hpp"
#include "crc32.hpp"
#include "fields.hpp"
#include "mapped.hpp"
#include "reader.hpp"
#include "sha256.hpp"

namespace edgesft {

class Bundle {
  public:
    /// Finds its files and reads its manifest; nothing else of it is trusted before `check`.
    explicit Bundle(std::string path) : path_(std::move(path)) {
        std::error_code error;
        if (std::filesystem::is_directory(path_, error)) {
            walk(path_, "");
        } else {
            if (!std::filesystem::is_regular_file(path_, error)) {
                throw BadInput("bundle must be a folder or an archive that exists, got '" + path_ + "'");
            }
            whole_ = std::make_unique<Mapped>(path_);
            if (whole_->view().substr(0, 4) != "PK\3\4") {
                throw BadInput("bundle must be a folder or a zip archive, got another file: '" + path_ + "'");
            }
            for (Entry& entry : entries_of(whole_->view())) {
                std::string name = entry.name;
                sizes_[name] = entry.size;
                entries_.emplace(std::move(name), std::move(entry));
            }
        }
        read_manifest();
    }

    bool packed() const { return whole_ != nullptr; }
    const Json& manifest() const { return manifest_; }

    /// What device code must know besides the weights; not before `check`.
    const Json& contract() const {
        if (contract_.is_null()) contract_ = json("contract.json");
        return contract_;
    }

    /// Where a file of a folder lies.
    std::string path(const std::string& name) const { return path_ + "/" + name; }

    /// A file's bytes where they lie.
    std::string_view view(const std::string& name) const {
        if (!sizes_.count(name)) throw Broken(name + ": must be a file of the bundle, got none");
        if (packed()) {
            const Entry& entry = entries_.at(name);
            return whole_->view().substr(entry.start(), entry.size);
        }
        std::unique_ptr<Mapped>& found = mapped_[name];
        if (!found) found = std::make_unique<Mapped>(path(name));
        return found->view();
    }

    /// A JSON file's object. Throws Broken where it is none, or of another schema.
    Json json(const std::string& name) const {
        Json said;
        try {
            said = Reader(view(name)).read();
        } catch (const Broken&) {
            throw;
        } catch (const Refusal& error) {
            throw Broken(name + ": must be JSON, got: " + error.what());
        }
        unique(name, said);
        for (const auto& [file, schema] : SCHEMAS) {
            const Json *own = said.find("schema"), *version = said.find("schema_version");
            bool same = own && own->as<std::string>() && *own->as<std::string>() == schema;
            bool one = version && version->as<std::int64_t>() && *version->as<std::int64_t>() == 1;
            if (name == file && !(same && one)) throw Broken(name + ": must be version 1 of " + std::string(schema));
        }
        return said;
    }

    /// Holds every file against the manifest. Throws Broken with all files that are missing, extra or changed.
    void check() const {
        std::string wrong;
        auto add = [&](const std::string& line) { wrong += (wrong.empty() ? "" : "\n") + line; };
        for (const auto& [name, listed] : listed_) {
            auto found = sizes_.find(name);
            std::string wanted = std::to_string(listed.first);
            if (found == sizes_.end()) {
                add(name + ": must be there, got no such file");
            } else if (found->second != listed.first) {
                add(name + ": must have " + wanted + " bytes, got " + std::to_string(found->second));
            }
        }
        for (const auto& [name, size] : sizes_) {
            if (!listed_.count(name) && !own(name)) add(name + ": must not be there, the manifest does not list it");
        }
        // A length is checked before a digest: nobody hashes gigabytes that should not be there.
        for (auto file = sizes_.begin(); wrong.empty() && file != sizes_.end(); ++file) check_bytes(file->first, add);
        if (!wrong.empty()) throw Broken(wrong);
    }

    /// Whether a file of a bundle may be called so.
    static bool is_name(std::string_view name) {
        constexpr std::string_view devices[] = {"con", "prn", "aux", "nul"};
        std::size_t parts = 0;
        for (std::size_t at = 0; at <= name.size(); ++parts) {
            std::string part(name.substr(at, name.find('/', at) - at));
            at += part.size() + 1;
            bool plain = !part.empty() && part.back() != '.' && (is_letter(part[0]) || part[0] == '_');
            for (char letter : part) plain = plain && (is_letter(letter) || std::string_view("_.+-").find(letter) != npos);
            std::string word = part.substr(0, part.find('.'));
            for (char& letter : word) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
            bool numbered = word.size() == 4 && (word.rfind("com", 0) == 0 || word.rfind("lpt", 0) == 0) &&
                            std::isdigit(static_cast<unsigned char>(word[3]));
            if (!plain || numbered || std::find(std::begin(devices), std::end(devices), word) != std::end(devices)) {
                return false;
            }
        }
        return name.size() <= 200 && parts <= 8;
    }

  private:
    static constexpr std::size_t npos = std::string_view::npos;

    static constexpr std::pair<std::string_view, std::string_view> SCHEMAS[] = {
        {"manifest.json", "edgesft/bundle"},
        {"contract.json", "edgesft/contract"},
        {"golden.json", "edgesft/golden"},
    };

    static bool own(const std::string& name) { return name == "manifest.json" || name == "signature.json"; }

    static bool is_letter(char letter) {
        return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || (letter >= '0' && letter <= '9');
    }

    static void unique(const std::string& name, const Json& json) {
        if (const Json::List* list = json.as<Json::List>()) {
            for (const Json& each : *list) unique(name, each);
        }
        if (const Json::Map* map = json.as<Json::Map>()) {
            std::set<std::string_view> keys;
            for (const auto& [key, value] : *map) {
                if (!keys.insert(key).second) throw Broken(name + ": must be JSON, got a key twice: " + key);
                unique(name, value);
            }
        }
    }

    template <typename Add>
    void check_bytes(const std::string& name, Add add) const {
        std::string_view data = view(name);
        if (packed() && crc32(data) != entries_.at(name).crc) {
            return add(name + ": must have the checksum that the archive says, got another: it was changed");
        }
        if (own(name)) return;
        Sha256 sum;
        sum.add(reinterpret_cast<const std::uint8_t*>(data.data()), data.size());
        if (sum.digest() != listed_.at(name).second) {
            add(name + ": must have the sha256 of the manifest, got another: it was changed");
        }
    }

    void walk(const std::string& folder, const std::string& before) {
        std::error_code error;
        for (const auto& each : std::filesystem::directory_iterator(folder, error)) {
            std::string name = before + each.path().filename().string();
            auto kind = each.symlink_status(error).type();
            if (kind == std::filesystem::file_type::directory) {
                walk(each.path().string(), name + "/");
            } else if (kind != std::filesystem::file_type::regular) {
                throw Broken(name + ": must be a plain file, got a link, pipe, socket or device");
            } else {
                sizes_[name] = each.file_size(error);
            }
        }
        if (error) throw BadInput("a folder that can be read must be '" + folder + "'");
    }

    void read_manifest() {
        for (const auto& [name, size] : sizes_) {
            if (!is_name(name)) throw Broken("a name must be relative, of letters, digits and _ . + -: '" + name + "'");
        }
        manifest_ = json("manifest.json");
        auto wrong = [](const std::string& got) {
            return Broken("manifest.json: must list files by name, length and sha256, got '" + got + "'");
        };
        try {
            Fields said("manifest.json", manifest_), files = said.object("files");
            std::set<std::string> folded;
            for (const auto& [name, listed] : files.members()) {
                std::string lower = name;
                for (char& letter : lower) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
                if (!is_name(name) || !folded.insert(lower).second) throw wrong(name);
                Fields each(name, listed);
                listed_[name] = {static_cast<std::uint64_t>(each.whole("length", 0)), each.text("sha256")};
            }
            if (said.list("variants").empty()) throw wrong("no variants");
            for (const Json& each : said.list("variants")) {
                Fields variant("variants", each);
                std::vector<std::string> own = variant.words("files");
                if (own.empty() || own[0] != variant.text("file")) throw wrong(variant.text("file"));
                for (const std::string& name : own) {
                    if (!listed_.count(name)) throw wrong(name);
                }
                check_graphs(variant, own, wrong);
            }
        } catch (const Broken&) {
            throw;
        } catch (const Refusal& error) {
            throw Broken(std::string("manifest.json: ") + error.what());
        }
    }

    /// Graphs of a variant are files of it, each another one.
    template <typename Wrong>
    static void check_graphs(const Fields& variant, const std::vector<std::string>& files, Wrong wrong) {
        std::set<std::string> seen = {variant.text("file")};
        for (const auto& [graph, file] : variant.texts("graphs")) {
            bool own = std::find(files.begin(), files.end(), file) != files.end();
            if (!own || !seen.insert(file).second || graph == "model") throw wrong(graph);
        }
    }

    std::string path_;
    std::map<std::string, std::uint64_t> sizes_;
    std::map<std::string, Entry> entries_;
    std::map<std::string, std::pair<std::uint64_t, std::string>> listed_;
    std::unique_ptr<Mapped> whole_;
    mutable std::map<std::string, std::unique_ptr<Mapped>> mapped_;
    Json manifest_;
    mutable Json contract_;
};

}  // namespace edgesft
