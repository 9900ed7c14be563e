// Answers which variant a device takes: lines of JSON in, lines of JSON out, for tests/export/test_cpp.py.
#include <iostream>
#include <string>

#include "reader.hpp"
#include "variant.hpp"

using namespace edgesft;

int main() {
    for (std::string line; std::getline(std::cin, line);) {
        Json json = Reader(line).read();
        Fields asked("asked", json);
        Device device{{}, asked.text("runtime"), asked.text("architecture")};
        if (asked.given("memory_bytes")) device.memory_bytes = asked.whole("memory_bytes", 0);
        bool said = true;
        for (const std::string& provider : asked.words("providers")) said = said && add_provider(device, provider);
        auto taken = select(asked.list("variants"), device);
        Json::List found;
        if (!said) found.push_back("refused");
        else if (taken) found = {Fields("variant", taken->first).text("name"), taken->second};
        std::cout << Json(found).text() << std::endl;
    }
}
