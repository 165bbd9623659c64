# json both ways over nested data, with everything that needs escaping.
import json

data = {
    "name": "aeon",
    "numbers": [0, -1, 2**53, 1.5, 1e-7, 1e100],
    "text": 'quotes " and \\ and \u00e9\u4e2d\U0001f600 and \n\t\x01',
    "nested": [{"level": i, "children": [{"id": i * j} for j in range(5)]} for i in range(20)],
    "nothing": None,
    "truth": [True, False],
}
text = json.dumps(data, sort_keys=True)
print(len(text), hash(text) == hash(text))
assert json.loads(text) == data
print(json.dumps(data["text"]), json.dumps(data["text"], ensure_ascii=False))
print(json.dumps({"b": [1, {"c": None}], "a": {}}, indent=2, sort_keys=True))
for bad in ("{", "[1,]", '{"a" 1}', "nul", '"\x01"'):
    try:
        json.loads(bad)
        print("accepted", bad)
    except json.JSONDecodeError as error:
        print(repr(bad), error)
